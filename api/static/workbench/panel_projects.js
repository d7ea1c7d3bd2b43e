// The project library: stages and milestones, files in and out, and which projects to plan.
import { app, may, zoneName } from "./app.js";
import { ask, download } from "./client.js";
import { fill, h } from "./dom.js";
import { area, number, short, unit } from "./format.js";
import { named, t } from "./i18n.js";
import { projects } from "./library.js";
import { badge, button, choice, facts, faultList, field, more, table, trouble, trying } from "./parts.js";
import { chosen } from "./panel_plan.js";
import { set, state } from "./state.js";

const STAGES = ["\u50a8\u5907", "\u5f15\u8fdb", "\u65b0\u5efa", "\u5b9e\u65bd"]; // as the records write them; the catalogue names them
const wanted = { q: "", stage: "", zone: "" };
export const panel = { id: "projects", icon: "M4 4h7l2 3h7v13H4zM4 10h16", render };

async function render(root) {
  const place = h("div", { id: "library" });
  const q = h("input", { type: "search", value: wanted.q, maxlength: 100, "aria-label": t("projects.q"), placeholder: t("projects.q"), oninput: () => { wanted.q = q.value; list(place); } });
  const every = ["", t("word.all")];
  fill(root, h("h2", {}, t("projects.title")), h("div", { class: "row" }, q,
    choice([every, ...STAGES.map((one) => [one, named("stage", one)])], wanted.stage, (stage) => { wanted.stage = stage; list(place); }, { "aria-label": t("projects.stage") }),
    choice([every, ...app.setup.zones.map((one) => [one.id, one.name])], wanted.zone, (zone) => { wanted.zone = zone; list(place); }, { "aria-label": t("word.zone") })), place, files(root));
  await trying(place, () => projects());
  list(place);
}

function list(place) {
  const q = wanted.q.toLowerCase();
  const rows = (app.projects ?? []).filter((one) => (!q || `${one.id} ${one.name} ${one.industry?.code ?? ""}`.toLowerCase().includes(q))
    && (!wanted.stage || one.stage === wanted.stage) && (!wanted.zone || zoneName(one.zone) === zoneName(wanted.zone)));
  const all = h("input", { type: "checkbox", "aria-label": t("projects.choose_all"), onchange: () => { rows.forEach((one) => (all.checked ? chosen.add(one.id) : chosen.delete(one.id))); list(place); } });
  all.checked = rows.length > 0 && rows.every((one) => chosen.has(one.id));
  const open = rows.find((one) => one.id === state.project);
  fill(place,
    h("p", { class: "row" }, button(t("projects.plan", { count: chosen.size }), () => app.open("plan"), { class: "main", disabled: !chosen.size, id: "plan-these" })),
    table([all, t("word.project"), t("projects.stage"), t("word.zone"), t("projects.land")], rows.map((one) => {
      const box = h("input", { type: "checkbox", "aria-label": t("projects.choose", { name: one.name ?? one.id }), onchange: () => { if (box.checked) chosen.add(one.id); else chosen.delete(one.id); list(place); } });
      box.checked = chosen.has(one.id);
      return { class: one === open ? "chosen" : null, cells: [box, button(one.name ?? one.id, () => { set({ project: one.id }); list(place); }, { class: "link" }), one.stage ? named("stage", one.stage) : "", zoneName(one.zone), one.land_m2 ? short(one.land_m2) : t("projects.estimated")] };
    }), { numbers: [4], caption: t("projects.title") }),
    open ? detail(open, place) : null);
}

const DEMANDS = [["power_kva", "kva"], ["water_m3d", "m3d"], ["effluent_m3d", "m3d"], ["freight_td", "td"], ["investment_wan", "wan"], ["output_wan", "wan"], ["tax_wan", "wan"], ["jobs", ""]];

function detail(one, place) {
  const told = h("div", { "aria-live": "polite" });
  const stage = choice(STAGES.map((word) => [word, named("stage", word)]), one.stage, async (next) => {
    if (await trying(told, () => ask("PUT", `/projects/${encodeURIComponent(one.id)}`, { ...one, stage: next }))) { await projects(true); list(place); }
  }, { disabled: !may("planner") });
  return h("section", { class: "detail" }, h("h3", {}, one.name ?? one.id),
    facts([["ID", one.id], [t("projects.industry"), one.industry ? `${one.industry.system} ${one.industry.code}` : null], [t("word.area"), one.land_m2 ? area(one.land_m2) : t("projects.estimated")],
      ...DEMANDS.map(([name, of]) => [named("demand", name), one[name] === null || one[name] === undefined ? null : `${number(one[name])} ${unit(of)}`])]),
    field(t("projects.stage"), stage), told,
    one.milestones?.length ? table([t("projects.procedure"), t("projects.planned"), t("projects.done"), t("opinion.document")], one.milestones.map((row) => [row.procedure, row.planned_on, row.done_on ? [badge("status", "pass"), " ", row.done_on] : "", row.document]), { caption: t("projects.milestones") }) : h("p", { class: "note" }, t("projects.no_milestones")),
    h("p", { class: "row" }, button(t("search.title"), () => app.open("search")), button(t("check.title"), () => app.open("check"))));
}

// What a library file did, or would do.
function taken(answer) {
  return h("div", { id: "taken" }, h("p", { class: "good" }, t(answer.stored ? "projects.stored" : "projects.only_checked"), " ", t("projects.counts", { created: answer.created.length, updated: answer.updated.length, unchanged: answer.unchanged.length })),
    answer.faults.length ? h("div", { class: "problem" }, faultList(answer.faults)) : null);
}

function files(root) {
  const told = h("div", { "aria-live": "polite" });
  const save = (path, name) => button(name, () => download(path, name).catch((error) => fill(told, trouble(error))), { class: "link" });
  const file = h("input", { type: "file", accept: ".xlsx,.csv,.json" });
  const send = async (dry) => {
    if (!file.files.length) { file.focus(); return; }
    const form = new FormData();
    form.append("file", file.files[0]);
    form.append("dry_run", String(dry));
    const answer = await trying(told, () => ask("POST", "/projects/import", form));
    if (!answer) return;
    if (!dry) { await projects(true); list(root.querySelector("#library")); }
    fill(told, taken(answer));
  };
  return more(t("projects.files"),
    h("p", {}, t("projects.export"), " ", ["xlsx", "csv", "json"].map((form) => [save(`/projects/export.${form}`, `projects.${form}`), " "]), save("/projects/template.xlsx", "template.xlsx")),
    may("planner") ? [field(t("projects.import"), file), h("p", { class: "row" }, button(t("projects.try"), () => send(true)), button(t("projects.take"), () => send(false)))] : null, told);
}
