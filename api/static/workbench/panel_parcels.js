// The parcels in the map window as a table, each row the way to its ground and its dossier.
import { app, zoneName } from "./app.js";
import { get } from "./client.js";
import { fill, h } from "./dom.js";
import { number } from "./format.js";
import { t } from "./i18n.js";
import { badge, button, table, trying } from "./parts.js";
import { dossier } from "./dossier.js";
import { shape } from "./panel_check.js";
import { state } from "./state.js";

let place = null;
let asked = 0;
let rows = [];
export const panel = { id: "parcels", icon: "M4 4h7v7H4zM13 4h7v7h-7zM4 13h7v7H4zM13 13h7v7h-7z", render, moved: () => list() };

async function render(root) {
  place = h("div", { id: "parcel-table" });
  fill(root, h("h2", {}, t("parcels.title")), h("p", { class: "note" }, t("parcels.hint")), place);
  await list();
}

async function list() {
  if (!place?.isConnected) return;
  const turn = ++asked;
  const box = app.map.bounds().map((one) => one.toFixed(6)).join(",");
  const found = await trying(place, () => get(`/parcels?bbox=${box}&limit=200`));
  if (!found || turn !== asked) return;
  rows = found.features;
  draw();
  fill(place, h("p", { "aria-live": "polite" }, t("parcels.count", { count: rows.length }), found.next ? t("parcels.more") : ""),
    table([t("word.parcel"), t("word.mu"), t("word.zone"), t("parcels.ready")], rows.map((one) => ({
      class: one.id === state.parcel ? "chosen" : null,
      onmouseenter: () => draw(one.id),
      cells: [button(one.id, () => { draw(one.id); app.map.fit([one.geometry], 17); dossier(one.id); }, { class: "link", title: one.properties.attributes.name ?? "", onfocus: () => draw(one.id) }),
        number(one.properties.area_mu, 2), zoneName(one.properties.attributes.zone), one.properties.attributes.ready ? badge("status", "pass") : ""],
    })), { numbers: [1], caption: t("parcels.title") }));
}

function draw(id = state.parcel) {
  const one = rows.find((row) => row.id === id);
  if (one) app.map.setOverlay("pointed", [shape(one.geometry, "found", { label: one.id.slice(-5) })]);
}
