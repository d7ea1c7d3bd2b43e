// The drawer beside the map: what lies at a point, and all that is known of one parcel.
import { app, CHECKS, may, zoneName } from "./app.js";
import { ask, get } from "./client.js";
import { announce, byId, fill, h } from "./dom.js";
import { area, number, unit } from "./format.js";
import { named, said, t } from "./i18n.js";
import { projectField } from "./library.js";
import { badge, button, facts, findingRow, more, page, section, sign, table, trouble, trying, worst } from "./parts.js";
import { shape, take } from "./panel_check.js";
import { pastChecks } from "./panel_history.js";
import { set, state } from "./state.js";

let opener = null;

export function openDrawer(title, ...rest) {
  const drawer = byId("drawer");
  if (drawer.hidden) opener = document.activeElement;
  drawer.hidden = false;
  document.body.classList.add("with-drawer");
  fill(drawer, h("div", { class: "head" }, h("h2", { tabindex: "-1" }, title), button("×", closeDrawer, { class: "close", "aria-label": t("drawer.close") })), ...rest);
  app.map.resize();
  return drawer;
}

export function closeDrawer() {
  byId("drawer").hidden = true;
  document.body.classList.remove("with-drawer");
  set({ parcel: "" });
  app.map.clearOverlay("pointed");
  app.map.resize();
  opener?.focus?.();
}

export async function identify(at) {
  const place = h("div", { "aria-live": "polite" });
  openDrawer(t("identify.title"), place);
  app.map.setOverlay("pointed", [{ type: "Feature", geometry: { type: "Point", coordinates: at }, properties: { style: "found" } }]);
  const tolerance = Math.min(Math.max(app.map.metresPerPixel() * 6, 1), 500);
  const found = await trying(place, () => get(`/identify?lon=${at[0].toFixed(7)}&lat=${at[1].toFixed(7)}&tolerance_m=${tolerance.toFixed(1)}`));
  if (!found) return;
  const order = (one) => (one.role === "parcels" ? 0 : one.role === "plots" ? 1 : one.role in state.layers ? 2 : 3);
  const layers = [...found.layers].sort((a, b) => order(a) - order(b));
  fill(place, h("p", { class: "note" }, t("identify.count", { count: layers.length })), layers.map((layer) => h("section", { class: "hit" },
    h("h3", {}, said(layer), layer.synthetic ? h("span", { class: "tag" }, t("app.synthetic")) : null), layer.features.map((one) => hit(layer, one)))));
}

function hit(layer, one) {
  const rows = Object.entries(one.attributes).map(([name, value]) => [named("attribute", name), typeof value === "boolean" ? t(value ? "word.yes" : "word.no") : typeof value === "number" ? number(value) : String(value)]);
  const title = `${one.name ?? ""} ${one.id}`;
  if (layer.role === "parcels") {
    return h("div", {}, h("p", {}, h("b", {}, title)), h("p", { class: "row" }, button(t("dossier.open"), () => dossier(one.id)), may(...CHECKS) ? button(t("dossier.check"), () => { take(one.id); app.open("check"); }) : null), facts(rows));
  }
  return layer.features.length > 1 || layer.role in state.layers ? h("div", {}, h("p", {}, h("b", {}, title)), facts(rows)) : more(title, facts(rows));
}

export async function dossier(id) {
  set({ parcel: id });
  const place = h("div", { "aria-live": "polite" });
  openDrawer(t("dossier.title"), place).querySelector("h2").focus();
  const found = await trying(place, () => Promise.all([get(`/parcels/${encodeURIComponent(id)}`), get(`/parcels/${encodeURIComponent(id)}/history`)]));
  if (!found) return;
  const [parcel, history] = found;
  const occupied = parcel.occupation ?? {};
  const { site } = parcel;
  app.map.setOverlay("pointed", [shape(site.geometry, "found", { label: id })]);
  app.map.fit([site.geometry], 17);
  const attributes = parcel.attributes ?? {};
  const lines = (occupied.control_lines ?? []).filter((one) => ["total", "outside"].includes(one.part));
  fill(place,
    h("p", {}, h("b", {}, attributes.name ?? id)), h("p", {}, h("code", {}, id)),
    h("p", { class: "row" }, may(...CHECKS) ? button(t("dossier.check"), () => { take(id); app.open("check"); }, { class: "main" }) : null, page(`/maps/parcels/${encodeURIComponent(id)}`, t("link.map_page"))),
    facts([[t("word.area"), area(site.area_m2)], [t("dossier.ellipsoid"), `${number(site.area_ellipsoid_m2)} m²`], [t("word.zone"), site.zones.map((one) => zoneName(one.zone)).join(t("word.comma"))],
      [t("parcels.ready"), attributes.ready === undefined ? null : t(attributes.ready ? "word.yes" : "word.no")], [t("dossier.since"), parcel.valid_from ?? t("dossier.founding")], [t("dossier.as_of"), parcel.as_of]]),
    section(t("dossier.lines"), h("ul", { class: "given" }, lines.map((one) => h("li", {}, sign(one.area_m2 > 0 ? "fail" : one.area_m2 === null ? "unknown" : "pass"), " ", h("span", {}, said({ zh: one.layer_zh, en: one.layer_en }), one.part === "outside" ? t("dossier.outside") : ""), t("word.colon"), one.area_m2 === null ? t("word.unknown") : one.area_m2 > 0 ? area(one.area_m2) : t("dossier.not_touched"))))),
    section(t("check.land_use"), table([t("word.code"), t("word.land_class"), t("word.mu"), "m²"], (parcel.land_use ?? occupied.land_classes ?? []).map((one) => [one.code, one.name, number(one.area_m2 * 3 / 2000), number(one.area_m2)]), { numbers: [2, 3], caption: t("check.land_use") })),
    section(t("dossier.quota"), table([t("quota.kind"), t("dossier.need"), t("dossier.balance")], (occupied.balance ?? []).filter((one) => one.need_m2 !== null && one.need_m2 !== undefined).map((one) => [said({ zh: one.zh, en: one.en }), `${number(one.need_m2, 0)} m²`, one.balance_m2 === null ? t("word.unknown") : `${number(one.balance_m2, 0)} m²`]), { numbers: [1, 2], caption: t("dossier.quota") })),
    may(...CHECKS) ? await verdicts(id) : null,
    section(t("dossier.checks"), await past(id)),
    section(t("dossier.history"), lineage(history)),
    more(t("dossier.sources"), table([t("word.layer"), t("word.version"), t("dossier.covers")], (occupied.sources ?? []).map((one) => [said({ zh: one.layer_zh, en: one.layer_en }), one.version ?? t("word.missing"), one.covers_site === null ? "" : t(one.covers_site ? "word.yes" : "word.no")]), { caption: t("dossier.sources") })));
}

// What a project would be told on this parcel, without keeping the answer.
async function verdicts(id) {
  const told = h("div", { "aria-live": "polite" });
  const chosen = await projectField().catch(trouble);
  const judge = button(t("dossier.judge"), async () => {
    const found = await trying(told, () => ask("POST", "/checks/batch", { project_id: state.project, sites: [{ parcels: [id] }] }), judge);
    if (!found) return;
    const [one] = found.checks;
    const open = worst(one.findings.filter((row) => ["fail", "unknown"].includes(row.status)));
    fill(told, h("p", { class: `verdict is-${one.verdict}` }, badge("verdict", one.verdict), h("strong", {}, said(one.conclusion))), h("ul", { class: "findings" }, open.map((row) => findingRow(row, (row_) => app.map.setOverlay("pointed", [shape(row_.evidence, "evidence_fail")])))));
    announce(said(one.conclusion));
  });
  return section(t("dossier.verdicts"), chosen, judge, told);
}

// The checks already made on this ground, whether they named the parcel or drew over it.
async function past(id) {
  const found = await get(`/checks?parcel=${encodeURIComponent(id)}&limit=20`).catch(trouble);
  if (found instanceof Node) return found;
  return found.checks.length ? h("div", {}, pastChecks(found.checks), found.next ? h("p", { class: "note" }, t("dossier.checks_more")) : null) : h("p", { class: "note" }, t("dossier.no_checks"));
}

function lineage(history) {
  const kin = (names) => names.map((name) => [button(name.id ?? name, () => dossier(name.id ?? name), { class: "link" }), " "]);
  return h("div", {}, history.parents.length ? h("p", {}, t("dossier.parents"), kin(history.parents)) : null, history.children.length ? h("p", {}, t("dossier.children"), kin(history.children)) : null,
    h("ol", { class: "given" }, history.events.map((one) => h("li", {}, h("b", {}, named("event", one.kind)), " ", one.effective_on, one.document ? ` · ${one.document.number}` : "", ` · ${one.actor}`, one.source ? h("small", {}, ` ${one.source}`) : null))));
}
