// The plan board: run, watch, read who stands where, lock or move, run again, compare, adopt.
import { app, may, zoneName } from "./app.js";
import { ask, get, once, send } from "./client.js";
import { geometryFrom } from "./coordinates.js";
import { announce, fill, h } from "./dom.js";
import { moment, number, percent, short, unit } from "./format.js";
import { half, named, said, t } from "./i18n.js";
import { projectName, projects } from "./library.js";
import { button, choice, field, more, reports, section, sign, table, trying } from "./parts.js";
import { shape } from "./panel_check.js";
import { set, state } from "./state.js";

export const chosen = new Set();
const locks = new Map();
let plan = null;
let watched = "";
let spots = null;
export const panel = { id: "plan", icon: "M3 4h18v16H3zM3 10h18M9 4v16M15 4v16", wide: true, render };

// The locks are those of the plan on the board until somebody changes them.
let locksOf = "";
function locked() {
  if (locksOf === plan.id) return;
  locksOf = plan.id;
  locks.clear();
  for (const [project, site] of Object.entries(plan.asked.scenario.locks ?? {})) locks.set(project, site);
}

const ENDED = ["done", "failed", "cancelled"];

async function render(root) {
  const place = h("div", { id: "plan" });
  const told = h("div", { "aria-live": "polite" });
  fill(root, h("h2", {}, t("plan.title")), form(place, told), told, place);
  await trying(place, () => projects());
  const list = await get("/plans").catch(() => ({ plans: [] }));
  if (!state.plan && list.plans.length) set({ plan: list.plans[0].id });
  if (state.plan) {
    plan = await trying(place, () => get(`/plans/${encodeURIComponent(state.plan)}`));
    if (plan) { locked(); show(place, list.plans); if (!ENDED.includes(plan.status)) watch(plan.id, place); }
  } else fill(place, h("p", { class: "note" }, t("plan.none")));
}

function form(place, told) {
  const now = new Date().getFullYear();
  const asked = plan?.asked?.scenario;
  const years = h("input", { type: "text", id: "plan-years", value: (asked?.start_years ?? [now, now + 1]).join(", "), pattern: "\\s*\\d{4}(\\s*[,，]\\s*\\d{4})*\\s*" });
  const limit = h("input", { type: "number", min: 1, max: 3600, value: asked?.time_limit_s ?? 30 });
  const fund = h("input", { type: "number", min: 0, value: asked?.fund_wan ?? "" });
  const energy = h("input", { type: "number", min: 0, id: "plan-energy", value: typeof asked?.energy_cap_tce === "number" ? asked.energy_cap_tce : "" });
  let accept = asked?.accept ?? "conditional";
  let covers = (asked?.fund_covers ?? []).join(" ");
  const run = button(t("plan.run"), async () => {
    const asked_ = chosen.size ? [...chosen] : (plan?.asked.projects.map((one) => one.id ?? one.name) ?? []);
    if (!asked_.length) { fill(told, h("p", { class: "problem", role: "alert" }, t("plan.choose_first"))); return; }
    const kept = (some) => Object.fromEntries(Object.entries(some ?? {}).filter(([project]) => asked_.includes(project)));
    const scenario = { // what the plan on the board was made for stays, but for what stands in the form
      ...asked, must: (asked?.must ?? []).filter((one) => asked_.includes(one)), priorities: kept(asked?.priorities), fund_wan: null,
      ...(typeof asked?.energy_cap_tce === "object" && energy.value === "" ? {} : { energy_cap_tce: energy.value === "" ? null : Number(energy.value) }),
      start_years: years.value.split(/[,，\s]+/).filter(Boolean).map(Number), time_limit_s: Number(limit.value), accept,
      ...(fund.value === "" ? {} : { fund_wan: Number(fund.value), fund_covers: covers.split(" ").filter(Boolean) }),
      locks: Object.fromEntries([...locks].filter(([project]) => asked_.includes(project))),
    };
    const made = await trying(told, () => ask("POST", "/plans", { projects: asked_, scenario }), run);
    if (!made) return;
    if (plan?.status === "done") set({ other: plan.id });
    set({ plan: made.id });
    plan = made;
    locksOf = made.id;
    announce(t("plan.started"));
    show(place, null);
    watch(made.id, place);
  }, { class: "main", id: "run-plan", disabled: !may("planner") });
  return h("div", { class: "row wrap" }, field(t("plan.years"), years), field(t("plan.limit"), limit), field(t("plan.fund"), fund),
    field(t("scenario.fund_covers"), choice(["", "connection", "connection earthwork", "connection earthwork land"].map((one) => [one, ["purchases", ...one.split(" ").filter(Boolean)].map((what) => t(`utility.${what}`)).join(" + ")]), covers, (one) => { covers = one; })),
    field(t("plan.energy"), energy),
    field(t("plan.accept"), choice(["clear", "warned", "conditional"].map((one) => [one, named("verdict", one)]), accept, (one) => { accept = one; })),
    h("span", { class: "grow" }), button(t("plan.choose", { count: chosen.size }), () => app.open("projects")), run);
}

async function watch(id, place) {
  watched = id;
  while (watched === id && state.panel === "plan") {
    await new Promise((done) => setTimeout(done, 700));
    const told = await get(`/plans/${id}`).catch(() => null);
    if (!told || watched !== id) continue;
    plan = told;
    if (ENDED.includes(told.status)) {
      announce(t("plan.ended", { status: named("plan", told.status), placed: told.assignments?.filter((one) => !one.component).length ?? 0 }));
      show(place, (await get("/plans").catch(() => ({ plans: [] }))).plans);
      if (spots?.length && told.status === "done") app.map.fit(spots.map((one) => one.geometry), 15);
      return;
    }
    const bar = document.getElementById("plan-progress");
    if (bar) fill(bar, progress(told));
  }
}

function progress(told) {
  const { phase, share, seconds, objective, bound, gap } = told.progress;
  const limit = told.asked.scenario.time_limit_s;
  const measuring = phase === "measuring";
  return [h("progress", { max: measuring ? 1 : limit, value: measuring ? share : Math.min(seconds, limit), "aria-label": t("plan.progress") }),
    h("span", {}, measuring ? t("plan.measuring", { share: percent(share, 0), done: number(told.progress.done ?? 0, 0), of: told.progress.of ? number(told.progress.of, 0) : "…" }) : t("plan.so_far", { seconds: number(seconds, 0), objective: number(objective, 1), bound: number(bound, 1), gap: percent(gap, 2) })),
    button(t("plan.cancel"), () => ask("DELETE", `/plans/${told.id}`).catch(() => {}), { id: "cancel-plan" })];
}

function show(place, list) {
  const done = plan.status === "done";
  const others = (list ?? []).filter((one) => one.status === "done" && one.id !== plan.id);
  const label = (one) => `${one.assignments === undefined ? named("plan", one.status) : t("plan.placed_short", { placed: one.assignments, of: one.projects })} · ${moment(one.created_at)}`;
  const against = h("div", { id: "comparison" });
  fill(place,
    h("div", { class: "row wrap" },
      list?.length ? field(t("plan.which"), choice(list.map((one) => [one.id, label(one)]), plan.id, (id) => { set({ plan: id }); app.open("plan"); })) : null,
      others.length && done ? field(t("plan.against"), choice([["", t("word.none")], ...others.map((one) => [one.id, label(one)])], state.other, (other) => { set({ other }); compare(against); })) : null,
      h("span", { class: "grow" }), done && may("planner") ? button(t("plan.adopt"), () => adopt(against), { id: "adopt-plan" }) : null),
    done ? null : h("div", { class: "progress", id: "plan-progress" }, ENDED.includes(plan.status) ? h("p", { class: "problem" }, named("plan", plan.status), " ", half(plan, "reason"), half(plan, "errors") ? half(plan, "errors").map((one) => h("p", {}, one)) : null) : progress(plan)),
    done ? [outcome(), reports("/plans/{plan_id}/report.", `/plans/${plan.id}/report.`, `plan-${plan.id}`, null), board(place, list), against, bill(), pools(), unplaced(), notes()] : null);
  if (done) { drawPlan(); if (state.other) compare(against); }
}

function outcome() {
  return h("p", { class: "figures" }, figure(t("plan.placed"), `${plan.assignments.filter((one) => !one.component).length} / ${plan.asked.projects.length}`), figure(t("plan.objective"), number(plan.objective, 1)),
    figure(t("plan.bound"), number(plan.bound, 1)), figure(t("plan.gap"), percent(plan.gap, 2)), figure(t("plan.bought"), number(plan.expansions.length, 0)),
    plan.bill ? figure(t("plan.cost"), wan(plan.bill.total_wan)) : null, figure(t("plan.seconds"), `${number(plan.seconds, 1)} s`));
}

const figure = (name, value) => h("span", { class: "figure" }, h("small", {}, name), h("b", {}, value));

// Which zone a site of the plan lies in, by the middle of its box.
function zoneOf(row) {
  const [x, y] = middle(geometryFrom(app.setup.proj4, row.site.geometry));
  return app.setup.zones.find(({ bounds: [west, south, east, north] }) => x >= west && x <= east && y >= south && y <= north)?.id ?? "";
}

function middle(geometry) {
  const all = geometry.coordinates.flat(geometry.type === "Polygon" ? 1 : 2);
  const xs = all.map((one) => one[0]);
  const ys = all.map((one) => one[1]);
  return [(Math.min(...xs) + Math.max(...xs)) / 2, (Math.min(...ys) + Math.max(...ys)) / 2];
}

// Projects down, zones across. A card is where a project stands; dragged or moved to another zone it is locked there.
function board(place, list) {
  const outside = plan.assignments.some((one) => !zoneOf(one));
  const zones = [...app.setup.zones.map((one) => [one.id, one.name]), ...(outside ? [["", t("plan.outside")]] : [])];
  const rows = plan.asked.projects.map((one) => one.id ?? one.name).map((key) => ({ key, row: plan.assignments.find((one) => one.project === key && !one.component) }));
  const told = h("div", { "aria-live": "polite" });
  const move = async (key, zone) => {
    const found = await trying(told, () => ask("POST", "/searches", { project_id: key, top: 200 }));
    const best = found?.candidates.find((one) => one.site.zones.some((part) => part.zone === zone && part.share > 0.5));
    if (!best) { if (found) fill(told, h("p", { class: "problem" }, t("plan.no_site_there", { name: projectName(key), zone: zoneName(zone) }))); return; }
    locks.set(key, best.name);
    fill(told);
    show(place, list);
    announce(t("plan.locked_to", { name: projectName(key), site: best.name }));
  };
  const cell = (key, row, zone) => {
    const here = row && zoneOf(row) === zone;
    return h("td", {
      ondragover: (event) => { event.preventDefault(); event.currentTarget.classList.add("over"); },
      ondragleave: (event) => event.currentTarget.classList.remove("over"),
      ondrop: (event) => { event.preventDefault(); event.currentTarget.classList.remove("over"); if (event.dataTransfer.getData("text/plain") === key && zone) move(key, zone); },
    }, here ? card(key, row, place, list) : null);
  };
  return section(t("plan.board"), h("p", { class: "note" }, t("plan.board_hint")), told,
    h("div", { class: "scroll board", tabindex: "0", role: "group", "aria-label": t("plan.board") }, h("table", {},
      h("thead", {}, h("tr", {}, h("th", { scope: "col" }, t("word.project")), zones.map(([, name]) => h("th", { scope: "col" }, name)), h("th", { scope: "col" }, t("plan.lock")))),
      h("tbody", {}, rows.map(({ key, row }) => h("tr", { "data-project": key, class: row ? null : "unplaced" }, h("th", { scope: "row" }, projectName(key), row ? null : h("small", {}, t("plan.not_placed"))), zones.map(([zone]) => cell(key, row, zone)),
        h("td", {}, lock(key, row, place, list),
          choice([["", t("plan.move")], ...app.setup.zones.map((one) => [one.id, one.name])], "", (zone) => zone && move(key, zone), { "aria-label": t("plan.move_name", { name: projectName(key) }), disabled: !may("planner") }))))))));
}

function card(key, row, place, list) {
  const waits = row.waits_for?.length ? h("small", {}, t("plan.waits", { what: row.waits_for.map(waiting).join(t("word.comma")) })) : null;
  return h("div", {
    class: `card${locks.has(key) ? " locked" : ""}`, draggable: String(may("planner")), ondragstart: (event) => event.dataTransfer.setData("text/plain", key),
  }, button(row.site.name, () => app.map.fit([geometryFrom(app.setup.proj4, row.site.geometry)], 16), { class: "link" }), h("small", {}, `${short(row.site.area_m2)} · ${row.approval_year}→${row.production_year}`), waits);
}

const waiting = (one) => (typeof one === "string" ? one : said(one) || words_(one));

function lock(key, row, place, list) {
  const site = locks.get(key);
  const on = site !== undefined;
  return h("label", { class: "lock", title: on ? site : t("plan.lock_hint") }, h("input", {
    type: "checkbox", checked: on, disabled: !may("planner") || (!on && !row), "aria-label": t("plan.lock_name", { name: projectName(key) }),
    onchange: () => { if (on) locks.delete(key); else locks.set(key, row.site.name); show(place, list); announce(t(on ? "plan.unlocked" : "plan.locked_to", { name: projectName(key), site: row?.site.name ?? site })); },
  }), on ? site : t("plan.lock"));
}

const wan = (amount) => (amount === null || amount === undefined ? t("plan.unknown") : number(amount, 1));

// What each pays: connections alone and with shared trenches, earthwork, land; and who serves.
function bill() {
  const told = plan.bill;
  if (!told) return null;
  const all = told.connection_wan;
  const owner = (one) => [projectName(one.project), one.component].filter(Boolean).join(" / ");
  const rows = told.projects.map((one) => [owner(one), one.connections.map((link) => `${t(`utility.${link.utility}`)} ${link.name ?? t("plan.unknown")}`).join(t("word.semicolon")),
    wan(one.connection_wan.alone), wan(one.connection_wan.share), wan(one.connection_wan.saving), wan(one.earthwork_wan?.typical), wan(one.land_wan.typical), wan(one.total_wan),
    one.unknown.map((what) => t(`utility.${what}`)).join(t("word.comma"))]);
  const by = told.utilities.map((one) => [t(`utility.${one.utility}`), String(one.connections), wan(one.alone_wan), wan(one.shared_wan), wan(one.saving_wan), number(one.alone_m, 0), number(one.dug_m, 0)]);
  return section(t("plan.bill"), h("p", { class: "figures" }, figure(t("plan.connections"), wan(all.shared)), figure(t("plan.saving"), wan(all.saving)), figure(t("utility.earthwork"), wan(told.earthwork_wan.typical)),
    figure(t("utility.land"), wan(told.land_wan.typical)), figure(t("plan.bought"), wan(told.purchases_wan)), figure(t("plan.cost"), wan(told.total_wan)),
    told.fund ? figure(t("plan.fund_left", { covers: told.fund.covers.map((one) => t(`utility.${one}`)).join(t("word.comma")) }), `${wan(told.fund.left_wan)} / ${wan(told.fund.ceiling_wan)}`) : null),
  told.complete ? null : h("p", { class: "note" }, t("plan.incomplete")),
  table([t("word.project"), t("plan.serves"), t("plan.alone"), t("plan.share"), t("plan.saving"), t("utility.earthwork"), t("utility.land"), t("plan.total"), t("plan.unknown")], rows, { caption: t("plan.bill"), numbers: [2, 3, 4, 5, 6, 7] }),
  more(t("plan.by_utility"), table([t("plan.utility"), t("plan.count"), t("plan.alone"), t("plan.share"), t("plan.saving"), t("plan.metres_alone"), t("plan.metres_built")], by, { caption: t("plan.by_utility"), numbers: [1, 2, 3, 4, 5, 6] }), h("p", { class: "note" }, said(told.rule))));
}

// The ways of a plan's connections: what several share lies broad beneath.
function ways(of) {
  const drawn = (of.bill?.stretches ?? []).map((one) => [one, geometryFrom(app.setup.proj4, one.geometry)]);
  const shared = drawn.filter(([one]) => one.users.length > 1).map(([, geometry]) => shape(geometry, "plan_shared"));
  return [...shared, ...drawn.map(([one, geometry]) => shape(geometry, `route_${one.utility}`))];
}

function bar(used, balance) {
  const share = balance > 0 ? Math.min(used / balance, 1) : used > 0 ? 1 : 0;
  return h("span", { class: `bar${share >= 0.95 ? " tight" : ""}` }, h("i", { style: { width: `${share * 100}%` } }));
}

function pools() {
  const used = plan.pools.filter((one) => one.used > 0).sort((a, b) => b.used / b.balance - a.used / a.balance);
  return more(t("plan.pools", { count: used.length }), table([t("plan.pool"), t("plan.used_share"), t("plan.used"), t("plan.balance"), t("word.year"), t("plan.price")], used.map((one) => [
    one.name.startsWith("quota/") || one.name.startsWith("capacity/") ? button(one.name, () => { set({ account: one.name }); app.open("quota"); }, { class: "link" }) : one.name,
    [bar(one.used, one.balance), " ", percent(one.balance ? one.used / one.balance : null)], `${number(one.used, 0)} ${unit(one.unit)}`, number(one.balance, 0), String(one.year ?? ""), number(one.price, 4)]), { numbers: [2, 3, 5], caption: t("plan.pools", { count: used.length }) }));
}

function unplaced() {
  if (!plan.unplaced.length) return null;
  return section(t("plan.unplaced", { count: plan.unplaced.length }), h("ul", { class: "given" }, plan.unplaced.map((one) => h("li", {}, sign("fail"), " ", h("b", {}, projectName(one.project)), t("word.colon"), one.reasons.map(said).join(t("word.semicolon"))))));
}

const notes = () => (plan.notes.length ? more(t("search.notes", { count: plan.notes.length }), h("ul", {}, plan.notes.map((one) => h("li", {}, said(one))))) : null);

export function assigned(of, style) {
  return of.assignments.map((one) => shape(geometryFrom(app.setup.proj4, one.site.geometry), style, { label: one.component ?? projectName(one.project).replace(/[(（].*$/, ""), id: one.project }));
}

function drawPlan() {
  spots = assigned(plan, "assigned");
  app.map.setOverlay("plan-ways", ways(plan));
  app.map.setOverlay("plan", spots);
}

// A setting of a scenario in words.
function words_(value) {
  if (value === null || value === undefined) return "—";
  if (Array.isArray(value)) return value.map(words_).join(t("word.comma"));
  if (typeof value !== "object") return typeof value === "number" ? number(value) : String(value);
  return Object.entries(value).map(([name, one]) => `${projectName(name)} → ${words_(one)}`).join(t("word.semicolon")) || "—";
}

async function compare(place) {
  if (!state.other) { fill(place); app.map.clearOverlay("plan-other"); return; }
  const found = await trying(place, () => Promise.all([get(`/plans/${state.other}/compare?with=${plan.id}`), get(`/plans/${state.other}`)]));
  if (!found) return;
  const [told, other] = found;
  app.planOther = other;
  const words = (row) => (row === null || row === undefined ? "—" : row.site ? [row.site, row.approval_year, row.served_by?.power?.name].filter(Boolean).join(" · ") : [sign("fail"), " ", t("plan.not_placed"), t("word.colon"), (row.reasons ?? []).map(said).join(t("word.semicolon"))]);
  const side = (name, pick) => [name, pick(0), pick(1)];
  fill(place, section(t("plan.comparison"),
    table(["", t("plan.side_a"), t("plan.side_b")], [
      side(t("plan.placed"), (i) => String(told.placed[i])), side(t("plan.objective"), (i) => number(told.objective[i], 1)), side(t("plan.bound"), (i) => number(told.bound[i], 1)),
      side(t("plan.bought"), (i) => String(told.expansions[i].length)),
      side(t("plan.cost"), (i) => wan(told.cost_wan[i])), side(t("plan.connections"), (i) => wan(told.connection_wan[i])), side(t("plan.saving"), (i) => wan(told.saving_wan[i])),
      ...Object.entries(told.scenario).map(([name, pair]) => side(named("scenario", name), (i) => words_(pair[i])))], { caption: t("plan.comparison") }),
    h("h4", {}, t("plan.moved", { count: told.moved.length })),
    told.moved.length ? table([t("word.project"), t("plan.side_a"), t("plan.side_b")], told.moved.map((one) => [projectName(one.project), words(one.from), words(one.to)]), { caption: t("plan.moved", { count: told.moved.length }) }) : null,
    button(t("swipe.plans"), () => app.swipe("plans"))));
  app.map.setOverlay("plan-other", assigned(other, "assigned_other").map((one) => ({ ...one, properties: { ...one.properties, label: "" } })));
  app.map.setOverlay("plan", spots);
}

async function adopt(place) {
  const told = h("div", { "aria-live": "polite", id: "adoption" });
  place.before(told);
  const asked = await trying(told, async () => { const made = await send("POST", `/plans/${plan.id}/adopt`, null, once()); return { is_first: made.status === 201, answer: await made.json() }; });
  if (asked) {
    const { answer, is_first } = asked;
    const waits = new Map((answer.waiting ?? []).map((one) => [one.project, one.waits_for]));
    fill(told, h("div", { class: "good" }, h("b", {}, t(is_first ? "plan.adopted" : "plan.adopted_before")), " ", said(answer.notice)),
      table([t("word.project"), t("plan.booked"), t("plan.waits_for")], (answer.reservations ?? []).map((one) => [projectName(one.project), `${one.id} · ${named("reservation", one.state)}`, (waits.get(one.project) ?? []).map(waiting).join(t("word.comma"))]), { caption: t("plan.adopted") }));
  }
  announce(told.textContent);
}
