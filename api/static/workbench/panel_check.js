// The check: a boundary (sent, drawn, or parcels), a project, the verdict with its clauses, evidence on the map.
import { app, CHECKS, may, zoneName } from "./app.js";
import { ask, get, once } from "./client.js";
import { announce, fill, h } from "./dom.js";
import { area, number, unit } from "./format.js";
import { named, said, t } from "./i18n.js";
import { projectField } from "./library.js";
import { badge, button, choice, facts, faultList, faultRow, field, findingRow, more, reports, section, table, trouble, trying, worst } from "./parts.js";
import { opinions } from "./opinions.js";
import { set, state } from "./state.js";

const work = { way: "upload", site: null, upload: null, drawn: null, parcels: [], purpose: "screening", answer: null };
const PURPOSES = ["screening", "pre_review", "conversion", "supply", "entry", "verification"];
export const panel = { id: "check", icon: "M9 11l3 3 8-9M20 12v7H4V5h11", render, leave: () => app.map.stopDrawing() };

// From the map or a dossier: parcels to check, whatever was to be checked before.
export function take(parcel) {
  work.way = "parcels";
  work.parcels = [...new Set([...work.parcels, parcel])];
}

export function takeSite(geometry) {
  work.way = "draw";
  work.drawn = geometry;
}

async function render(root) {
  fill(root, h("h2", {}, t("check.title")));
  if (!may(...CHECKS)) root.append(h("p", { class: "note" }, t("word.not_your_role")));
  const ways = h("div", { role: "group", class: "tabs", "aria-label": t("check.site") }, ["upload", "draw", "parcels"].map((way) => button(t(`check.by_${way}`), () => { work.way = way; app.map.stopDrawing(); render(root); }, { "aria-pressed": String(work.way === way) })));
  const place = h("div", { class: "way" });
  const outcome = h("div", { id: "outcome" });
  const run = button(t("check.run"), () => check(outcome, run), { class: "main", id: "run-check", disabled: !may(...CHECKS) });
  const site = h("section", { class: "step" }, h("h3", {}, t("check.site")), ways, place);
  const asked = h("section", { class: "step" }, h("h3", {}, t("check.for")));
  root.append(site, asked, run, outcome);
  ({ upload: byUpload, draw: byDrawing, parcels: byParcels })[work.way](place);
  if (may(...CHECKS)) {
    const chosen = await projectField().catch(trouble);
    asked.append(chosen, field(t("check.purpose"), choice(PURPOSES.map((one) => [one, named("purpose", one)]), work.purpose, (purpose) => { work.purpose = purpose; })));
  }
  if (state.check && work.answer?.id !== state.check) {
    const found = await trying(outcome, () => get(`/checks/${encodeURIComponent(state.check)}`));
    if (found) work.answer = found;
  }
  if (work.answer) show(outcome, work.answer);
}

// --- the site ---------------------------------------------------------------------------------------

function byUpload(place) {
  const file = h("input", { type: "file", id: "boundary", required: true, accept: ".txt,.geojson,.json,.zip,.shp,.gpkg,.dxf,.kml,.kmz,.xml,.csv,.gml,.fgb" });
  const crs = h("input", { type: "text", placeholder: "EPSG:4545", maxlength: 40, pattern: "EPSG:\\d{4,6}" });
  const encoding = choice([["", t("upload.as_found")], ["UTF-8", "UTF-8"], ["GB18030", "GB18030"]], "", () => {});
  const told = h("div", { "aria-live": "polite" });
  const send = button(t("upload.send"), async () => {
    if (!file.files.length) { file.focus(); return; }
    const form = new FormData();
    form.append("file", file.files[0]);
    if (crs.value.trim()) form.append("crs", crs.value.trim());
    if (encoding.value) form.append("encoding", encoding.value);
    work.upload = await trying(told, () => ask("POST", "/uploads", form), send);
    if (work.upload) { app.map.setOverlay("site", work.upload.geometry ? [shape(work.upload.geometry, "upload")] : []); app.map.fit([work.upload.geometry]); uploaded(told); }
  });
  file.addEventListener("change", () => { if (file.files.length) send.click(); });
  place.append(h("div", { class: "row" }, field(t("upload.file"), file)), more(t("upload.say"), h("div", { class: "row" }, field(t("upload.crs"), crs), field(t("upload.encoding"), encoding)), send), told);
  if (work.upload) uploaded(told);
}

function uploaded(place) {
  const one = work.upload;
  fill(place,
    facts([[t("upload.crs"), one.found.crs], [t("upload.encoding"), one.found.encoding], [named("found", "format"), one.found.format ?? one.found.driver], [t("upload.features"), number(one.features_in, 0)], [t("word.area"), area(one.area_m2)]]),
    more(t("upload.found"), facts(Object.entries(one.found).filter(([, value]) => value !== null && typeof value !== "object").map(([name, value]) => [named("found", name), String(value)]))),
    one.faults.length ? h("div", { class: "problem" }, faultList(one.faults)) : h("p", { class: "good" }, t("upload.no_faults")),
    one.notes.length ? more(t("upload.notes", { count: one.notes.length }), h("ul", {}, one.notes.map((row) => faultRow(row)))) : null);
}

function byDrawing(place) {
  const told = h("p", { "aria-live": "polite" }, work.drawn ? t("draw.done") : t("draw.hint"));
  const draw = (mode) => button(t(`draw.${mode}`), () => {
    told.textContent = t("draw.hint");
    app.map.draw(mode, (geometry) => { work.drawn = geometry; app.map.setOverlay("site", [shape(geometry, "upload")]); told.textContent = t("draw.done"); announce(t("draw.done")); });
  });
  place.append(h("div", { class: "row" }, draw("polygon"), app.map.kind === "webgl" ? draw("rectangle") : null, button(t("draw.stop"), () => app.map.stopDrawing())), told);
  if (work.drawn) app.map.setOverlay("site", [shape(work.drawn, "upload")]);
}

function byParcels(place) {
  const text = h("textarea", { rows: 2, id: "parcel-ids", spellcheck: "false", onchange: () => { work.parcels = text.value.split(/[\s,，、;；]+/).filter(Boolean); } });
  text.value = work.parcels.join("\n");
  place.append(field(t("check.parcels"), text, t("check.parcels_hint")));
}

function asked() {
  if (work.way === "upload") return work.upload ? { upload: work.upload.id } : null;
  if (work.way === "draw") return work.drawn ? { geometry: work.drawn } : null;
  return work.parcels.length ? { parcels: work.parcels } : null;
}

// --- the answer -------------------------------------------------------------------------------------

async function check(outcome, run) {
  const site = asked();
  if (!site) { fill(outcome, h("p", { class: "problem", role: "alert" }, t("check.no_site"))); return; }
  const found = await trying(outcome, () => ask("POST", "/checks", { project_id: state.project, site, purpose: work.purpose }), run);
  if (!found) return;
  work.answer = found;
  work.site = site;
  set({ check: found.id });
  show(outcome, found);
  announce(t("check.said", { verdict: said(found.conclusion) }));
  outcome.scrollIntoView({ block: "start" });
}

export const shape = (geometry, style, more_ = {}) => ({ type: "Feature", geometry, properties: { style, ...more_ } });

export function draw(found) {
  const evidence = found.findings.filter((one) => one.evidence && ["fail", "unknown"].includes(one.status));
  app.map.setOverlay("site", [shape(found.site.geometry, "site"), ...evidence.map((one) => shape(one.evidence, `evidence_${one.status}`))]);
}

function show(outcome, found) {
  draw(found);
  const point = (one) => { draw(found); app.map.setOverlay("pointed", [shape(one.evidence, "found")]); app.map.fit([one.evidence, found.site.geometry]); announce(said(one.message)); };
  const open = worst(found.findings.filter((one) => ["fail", "unknown"].includes(one.status)));
  const closed = (status) => found.findings.filter((one) => one.status === status);
  const need = found.quota_need;
  fill(outcome,
    h("div", { class: `verdict is-${found.verdict}`, id: "verdict", tabindex: "-1" }, badge("verdict", found.verdict), h("strong", {}, said(found.conclusion)), h("small", {}, t("check.not_a_promise"))),
    facts([[t("word.project"), found.project.name ?? found.project.id], [t("check.purpose"), named("purpose", found.purpose)],
      [t("word.area"), area(found.site.area_m2)], [t("word.zone"), found.site.zones.map((one) => `${zoneName(one.zone)} ${number(one.share * 100, 0)}%`).join(t("word.comma"))],
      [t("check.quota_need"), need ? ["new_construction", "agricultural", "cultivated", "paddy"].map((one) => `${named("kind", one)} ${number(need[`${one}_m2`], 0)} m²`).join(t("word.comma")) : null]]),
    reports("/checks/{check_id}/report.", `/checks/${found.id}/report.`, `check-${found.id}`, `/maps/checks/${found.id}`),
    section(t("check.open", { count: open.length }), open.length ? h("ul", { class: "findings" }, open.map((one) => findingRow(one, point))) : h("p", { class: "good" }, t("check.nothing_open"))),
    opinions(found, () => reload(outcome)),
    more(t("check.passed", { count: closed("pass").length }), h("ul", { class: "findings" }, closed("pass").map((one) => findingRow(one, null)))),
    more(t("check.exempt", { count: closed("exempt").length }), h("ul", { class: "findings" }, closed("exempt").map((one) => findingRow(one, null)))),
    more(t("check.land_use"), table([t("word.code"), t("word.land_class"), t("word.mu"), "m²"], found.land_use.map((one) => [one.code, one.name, number(one.area_m2 * 3 / 2000, 2), number(one.area_m2, 2)]), { numbers: [2, 3], caption: t("check.land_use") })),
    more(t("check.principles"), table([t("check.principle"), t("word.measure"), t("word.value")], found.principles.map((one) => [said(one), said(one.name), one.value === null ? (one.low === null ? t("word.unknown") : `≥ ${number(one.low)} ${unit(one.unit)}`) : `${number(one.value)} ${unit(one.unit)}`]), { numbers: [2], caption: t("check.principles") })),
    connections(found),
    may("planner") ? hold(found) : null,
    h("p", { class: "note" }, t("check.made", { id: found.id, as_of: found.as_of, year: found.for_year }), " ", h("code", {}, found.rulebook_digest.slice(0, 12))));
}

async function reload(outcome) {
  work.answer = await get(`/checks/${encodeURIComponent(work.answer.id)}`);
  show(outcome, work.answer);
}

// Who would serve, along which ways, at what cost: asked for where somebody opens it, drawn on the map.
function connections(found) {
  const told = h("div", { "aria-live": "polite" });
  const go = button(t("connect.show"), async () => {
    const all = await trying(told, () => get(`/checks/${encodeURIComponent(found.id)}/connections`), go);
    if (!all) return;
    const ways = all.features.filter((one) => one.properties.kind === "connection").map((one) => ({ ...one.properties, geometry: one.geometry }));
    const gate = all.features.find((one) => one.properties.kind === "entrance");
    const drawn = ways.filter((one) => one.geometry);
    app.map.setOverlay("pointed", [...drawn.map((one) => shape(one.geometry, `route_${one.utility}`)), shape(gate.geometry, "found", { label: t("connect.entrance") })]);
    app.map.fit([found.site.geometry, ...drawn.map((one) => one.geometry)]);
    const cost = (band) => (band ? `${number(band.typical, 1)}（${number(band.low, 0)}–${number(band.high, 0)}）` : t("word.unknown"));
    fill(told, table([t("plan.utility"), t("plan.serves"), t("connect.grade"), "m", t("connect.cost"), t("connect.notes")], ways.map((one) => [t(`utility.${one.utility}`), `${one.name ?? t("word.unknown")}${one.short ? ` ${t("connect.short", { amount: `${number(one.short, 0)} ${unit(one.unit)}` })}` : ""}`, one.grade, one.length_m === null ? "" : number(one.length_m, 0), cost(one.cost_wan), one.notes.map(said).join(t("word.semicolon"))]), { numbers: [3, 4], caption: t("connect.title") }),
      all.cost_wan ? h("p", {}, t("connect.all"), t("word.colon"), cost(all.cost_wan)) : null);
    announce(t("connect.title"));
  });
  return more(t("connect.title"), h("p", { class: "note" }, t("connect.hint")), go, told);
}

// Ground, quota and capacity of what was checked, held together or not at all.
function hold(found) {
  const told = h("div", { "aria-live": "polite" });
  const go = button(t("hold.reserve"), async () => {
    const site = found.site.parts.every((one) => one.parcel) ? { parcels: found.site.parts.map((one) => one.parcel) } : { geometry: found.site.geometry };
    const made = await trying(told, () => ask("POST", "/reservations", { project_id: found.project.id, site }, once()), go);
    if (made) fill(told, h("p", { class: "good" }, t("hold.made", { id: made.id, state: named("reservation", made.state) }), " ", said(made.notice)));
    const short = told.querySelector(".problem") && made === null ? told.textContent.match(/quota\/\S+|capacity\/\S+/) : null;
    if (short) told.append(button(t("hold.why"), () => { set({ account: short[0].replace(/[，。,;：:]$/, "") }); app.open("quota"); }, { class: "link" }));
  });
  return more(t("hold.title"), h("p", { class: "note" }, t("hold.hint")), go, told);
}
