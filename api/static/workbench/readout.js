// Where the pointer is, in the grid of the office's choice, and the way to a place, a parcel or a coordinate.
import { app } from "./app.js";
import { get } from "./client.js";
import { FORMS, parsed } from "./coordinates.js";
import { announce, byId, fill, h } from "./dom.js";
import { number } from "./format.js";
import { named, said, t } from "./i18n.js";
import { button, choice, trouble } from "./parts.js";
import { dossier } from "./dossier.js";
import { set, state } from "./state.js";

let last = null;

export function readout() {
  const text = h("output", { id: "coordinates", title: t("readout.copy") });
  const scale = h("span", { id: "scale" });
  const show = (at) => { last = at; text.textContent = (FORMS[state.grid] ?? FORMS.plane)(...at); };
  const scaled = () => { scale.textContent = `1:${number(Math.round(app.map.metresPerPixel() / 0.000264583 / 100) * 100, 0)}`; };
  app.map.on("pointer", show);
  app.map.on("move", () => { scaled(); if (!last || document.activeElement?.closest("#map")) show(app.map.view().at); });
  fill(byId("readout"), choice(Object.keys(FORMS).map((one) => [one, t(`grid.${one}`)]), state.grid, (grid) => { set({ grid }); show(last ?? app.map.view().at); }, { "aria-label": t("readout.grid"), id: "grid" }), text, scale,
    h("span", { class: "grow" }), app.setup.synthetic ? h("span", { class: "badge" }, t("app.synthetic_map")) : null, h("span", {}, app.setup.crs));
  show(app.map.view().at);
  scaled();
}

export function finder() {
  const form = byId("find");
  const text = byId("find-text");
  const results = byId("find-results");
  const close = () => { results.hidden = true; };
  const go = (at, words) => {
    app.map.goTo(at, Math.max(app.map.view().zoom, 15));
    app.map.setOverlay("pointed", [{ type: "Feature", geometry: { type: "Point", coordinates: at }, properties: { style: "found", label: words } }]);
    close();
    announce(t("find.went", { place: words }));
  };
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const said_ = text.value.trim();
    if (!said_) return;
    const at = parsed(said_, Math.round(app.map.view().at[0] / 3) * 3);
    if (at) { go(at, FORMS.plane(...at)); return; }
    results.hidden = false;
    fill(results, h("p", { class: "waiting" }, t("word.waiting")));
    try {
      const { places } = await get(`/places?name=${encodeURIComponent(said_)}&limit=20`);
      fill(results, places.length ? h("ul", {}, places.map((one) => h("li", {}, button(`${one.name ?? one.id}`, () => {
        if (one.role === "projects") { set({ project: one.id }); close(); app.open("projects"); } else { go(one.at, one.name ?? one.id); if (one.role === "parcels") dossier(one.id); }
      }, { class: "link" }), h("small", {}, ` ${said(one)}`)))) : h("p", {}, t("find.nothing")));
      announce(t("find.found", { count: places.length }));
      results.querySelector("button")?.focus();
    } catch (error) {
      fill(results, trouble(error));
    }
  });
  form.addEventListener("keydown", (event) => { if (event.key === "Escape") { close(); text.focus(); } });
  document.addEventListener("click", (event) => { if (!form.contains(event.target)) close(); });
}

export const role = (name) => named("role", name);
