// Where would a project stand best: a ranked list and the map, each leading to the other.
import { app, CHECKS, may } from "./app.js";
import { ask } from "./client.js";
import { announce, fill, h } from "./dom.js";
import { number, short } from "./format.js";
import { said, t } from "./i18n.js";
import { projectField } from "./library.js";
import { badge, button, field, findingRow, more, table, trying, worst } from "./parts.js";
import { controls, grounds, ranking, sides } from "./ranking.js";
import { shape, takeSite } from "./panel_check.js";
import { state } from "./state.js";

let found = null;
let chosen = null;
export const panel = { id: "search", icon: "M10 4a6 6 0 1 1 0 12 6 6 0 0 1 0-12zM15 15l6 6", render, clicked };

async function render(root) {
  const top = h("input", { type: "number", min: 1, max: 200, value: 20, id: "how-many" });
  const place = h("div", { id: "candidates" });
  const run = button(t("search.run"), async () => {
    const told = await trying(place, () => ask("POST", "/searches", { project_id: state.project, top: Number(top.value) || 20, ranking: ranking() }), run);
    if (!told) return;
    found = told;
    chosen = null;
    announce(t("search.said", { count: found.candidates.length, considered: found.considered }));
    list(place);
    app.map.fit(found.candidates.map((one) => one.site.geometry));
  }, { class: "main", disabled: !may(...CHECKS), id: "run-search" });
  fill(root, h("h2", {}, t("search.title")));
  if (!may(...CHECKS)) { root.append(h("p", { class: "note" }, t("word.not_your_role"))); return; }
  const { criteria } = await ask("GET", "/searches/criteria");
  root.append(await projectField(), field(t("search.top"), top), more(t("rank.how"), controls(criteria)), run, place);
  if (found) list(place);
}

function draw() {
  app.map.setOverlay("candidates", found.candidates.map((one) => shape(one.site.geometry, one === chosen ? "found" : "candidate", { label: String(one.rank), id: String(one.rank) })));
}

function list(place) {
  draw();
  const rows = found.candidates.map((one) => ({
    class: one === chosen ? "chosen" : null,
    "data-rank": one.rank,
    cells: [String(one.rank), button(one.name, () => pick(one, place, true), { class: "link", "aria-expanded": String(one === chosen) }), badge("verdict", one.verdict), short(one.site.area_m2), number(one.score, 3)],
  }));
  const rejected = Object.entries(found.rejected);
  fill(place, h("p", {}, t("search.said", { count: found.candidates.length, considered: found.considered })),
    table([t("search.rank"), t("search.site"), t("word.verdict"), t("word.area"), t("search.score")], rows, { numbers: [0, 3, 4], caption: t("search.title") }),
    chosen ? detail(chosen) : null,
    grounds(found),
    rejected.length ? more(t("search.rejected", { count: rejected.length }), table([t("opinion.rule"), t("search.sites")], rejected, { numbers: [1], caption: t("search.rejected", { count: rejected.length }) })) : null,
    found.notes.length ? more(t("search.notes", { count: found.notes.length }), h("ul", {}, found.notes.map((one) => h("li", {}, said(one))))) : null);
}

function pick(one, place, fit) {
  chosen = one === chosen ? null : one;
  list(place);
  if (!chosen) return;
  if (fit) app.map.fit([one.site.geometry], 16);
  place.querySelector("tr.chosen button").focus();
  place.querySelector("tr.chosen").scrollIntoView({ block: "nearest" });
}

function detail(one) {
  return h("section", { class: "detail", id: "candidate" }, h("h3", {}, `${one.rank} · ${one.name}`), badge("verdict", one.verdict),
    h("p", {}, button(t("search.check"), () => { takeSite(one.site.geometry); app.open("check"); })),
    one.findings.length ? h("ul", { class: "findings" }, worst(one.findings).map((row) => findingRow(row, (row_) => app.map.fit([row_.evidence])))) : h("p", { class: "good" }, t("check.nothing_open")),
    sides(found, one));
}

// A candidate on the map was clicked: its row opens.
function clicked(at) {
  if (!found) return false;
  const hit = app.map.overlayAt(at).find((one) => found.candidates.some((row) => String(row.rank) === one.id));
  if (!hit) return false;
  chosen = null;
  pick(found.candidates.find((row) => String(row.rank) === hit.id), document.getElementById("candidates"), false);
  return true;
}
