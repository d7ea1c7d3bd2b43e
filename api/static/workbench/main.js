// The workbench: who sits here, which county, the map, and the panel they work in.
import { app } from "./app.js";
import { get, keep, key, Problem } from "./client.js";
import { announce, byId, fill, h, svg } from "./dom.js";
import { closeDrawer, dossier, identify } from "./dossier.js";
import * as flat from "./flatmap.js";
import { LANGUAGES, language, named, said, speak, t } from "./i18n.js";
import { measure } from "./measure.js";
import { panel as check } from "./panel_check.js";
import { panel as layers, relief } from "./panel_layers.js";
import { panel as history } from "./panel_history.js";
import { panel as parcels } from "./panel_parcels.js";
import { panel as plan } from "./panel_plan.js";
import { panel as projects } from "./panel_projects.js";
import { panel as quota } from "./panel_quota.js";
import { panel as search } from "./panel_search.js";
import { button, trouble } from "./parts.js";
import { finder, readout } from "./readout.js";
import { read, set, state } from "./state.js";
import { stop as stopSwipe, swipe } from "./swipe.js";

const PANELS = [layers, check, history, search, projects, plan, quota, parcels];
const PEOPLE = JSON.parse(document.body.dataset.people);
let noteTimer = 0;

app.note = (text, stay = false) => {
  const place = byId("map-note");
  place.textContent = text;
  place.hidden = !text;
  clearTimeout(noteTimer);
  if (!stay) noteTimer = setTimeout(() => { place.hidden = true; }, 8_000);
};

app.open = async (id) => {
  const panel = PANELS.find((one) => one.id === id) ?? layers;
  app.panel?.leave?.();
  app.panel = panel;
  set({ panel: panel.id });
  document.body.classList.toggle("wide", Boolean(panel.wide));
  rail();
  app.map.resize();
  const root = byId("panel");
  root.scrollTop = 0;
  await panel.render(root).catch((error) => root.append(trouble(error)));
};

app.swipe = swipe;

function rail() {
  fill(byId("rail"), PANELS.map((one) => h("button", {
    type: "button", "aria-current": one.id === state.panel ? "page" : null, "data-panel": one.id, onclick: () => app.open(one.id),
  }, svg("svg", { viewBox: "0 0 24 24", width: 22, height: 22, "aria-hidden": "true" }, svg("path", { d: one.icon })), h("span", {}, t(`panel.${one.id}`)))));
}

function tools() {
  const tool = (name, act) => button(t(`tool.${name}`), act, { "data-tool": name });
  fill(byId("tools"), tool("length", () => measure("line")), tool("area", () => measure("polygon")),
    tool("stop", () => { app.map.stopDrawing(); ["measure", "pointed"].forEach((one) => app.map.clearOverlay(one)); stopSwipe(); app.note(""); }),
    tool("swipe", () => swipe("layers")), tool("home", () => { const [w, s, e, n] = app.setup.focus ?? app.setup.bounds; app.map.fit([{ type: "LineString", coordinates: [[w, s], [e, n]] }]); }),
    tool("link", async () => { await navigator.clipboard?.writeText(location.href).catch(() => {}); app.note(t("tool.linked")); announce(t("tool.linked")); }));
}

function people() {
  const place = byId("people");
  const mine = app.user?.name ?? "";
  const options = PEOPLE.length ? PEOPLE.map((one) => [one.key, `${named("role", one.role)} · ${one.key}`]) : [[mine, `${mine} · ${named("role", app.user?.role ?? "")}`]];
  fill(place, options.map(([value, words]) => h("option", { value, selected: value === mine }, words)), PEOPLE.length ? null : h("option", { value: "" }, t("app.leave")));
  place.value = mine;
  place.onchange = () => { keep(place.value); set({ check: "", plan: "", other: "", parcel: "", account: "" }); setTimeout(() => location.reload(), 250); };
}

async function another(next) {
  await speak(next);
  set({ lang: next });
  localStorage.setItem("parkplan.lang", next);
  people();
  tools();
  readout();
  app.map.attribute(attribution());
  await app.open(state.panel);
  if (state.parcel) await dossier(state.parcel);
}

const attribution = () => `${app.setup.county} · ${app.setup.synthetic ? t("app.synthetic_map") : t("map.source")}`;

// A key is asked for where one is needed; a wrong one is said and asked for again.
function gate(problem) {
  const text = h("input", { type: "password", autocomplete: "current-password", required: true, id: "key" });
  document.body.classList.add("closed");
  fill(byId("panel"), h("form", { class: "gate", onsubmit: (event) => { event.preventDefault(); keep(text.value.trim()); location.reload(); } },
    h("h2", {}, t("gate.title")), h("p", {}, t("gate.hint")), problem.status === 401 && key() ? trouble(problem) : null, problem.status !== 401 ? trouble(problem) : null,
    h("input", { type: "text", autocomplete: "username", hidden: true }), h("label", { class: "field" }, h("span", {}, t("gate.key")), text), h("button", { type: "submit", class: "main" }, t("gate.enter")),
    h("p", {}, h("a", { href: "/public" }, t("link.public")), " · ", h("a", { href: "/docs" }, t("link.docs")))));
  rail();
  byId("rail").querySelectorAll("button").forEach((one) => { one.disabled = true; });
  text.focus();
}

// Whether WebGL is there; `?map=flat` shows what happens where it is not.
async function kind() {
  if (new URLSearchParams(location.search).get("map") === "flat") return flat;
  const gl = await import("./glmap.js");
  return gl.works() ? gl : flat;
}

async function start() {
  const named_ = read();
  await speak(state.lang !== "zh-CN" ? state.lang : new URLSearchParams(location.search).get("lang") ?? localStorage.getItem("parkplan.lang") ?? state.lang);
  state.lang = language();
  byId("language").onclick = () => (app.map ? another(LANGUAGES.find((one) => one !== language())) : location.assign(`/?lang=${LANGUAGES.find((one) => one !== language())}`));
  try {
    app.user = await get("/whoami");
    people();
    app.setup = { ...await get("/workbench.json"), classes: {} }; // the colours of land classes come with their layer
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    people();
    gate(error);
    return;
  }
  byId("county").textContent = app.setup.county;
  byId("synthetic").hidden = !app.setup.synthetic;
  if (!named_) state.layers = Object.fromEntries(Object.entries(app.setup.styles).filter(([, one]) => one.shown && one.loaded).map(([role]) => [role, 1]));
  const maker = await kind();
  app.make = (place, view) => maker.create(place, app.setup, view, { attribution: attribution(), trouble: (source, error) => app.note(t("layers.failed", { name: source.replace("tiles-", ""), why: error?.message ?? "" })), words: {
    "Map.Title": t("map.label"), "NavigationControl.ZoomIn": t("map.zoom_in"), "NavigationControl.ZoomOut": t("map.zoom_out"), "AttributionControl.ToggleAttribution": t("map.source") } });
  app.map = await app.make(byId("map"), state.at ? { at: state.at, zoom: state.zoom } : null);
  document.body.dataset.map = app.map.kind;
  app.map.on("move", () => { const view = app.map.view(); set({ at: view.at, zoom: view.zoom }); app.panel?.moved?.(); });
  // identify is off while something is drawn; a panel may take the click for itself
  app.map.on("click", (at) => { if (!app.map.isDrawing && !app.panel?.clicked?.(at)) identify(at); });
  finder();
  tools();
  readout();
  const wanted = Object.keys(app.setup.styles).filter((role) => role in state.layers && app.setup.styles[role].loaded);
  // the relief lies under the layers and waits for nobody: of a service that just started it comes last
  relief(state.relief).catch((error) => app.note(error.message));
  await Promise.all(wanted.map((role) => app.map.setLayer(role, state.layers[role]).catch((error) => app.note(t("layers.failed", { name: said(app.setup.styles[role]) || role, why: error.message })))));
  await app.open(state.panel);
  if (app.map.kind === "flat") app.note(t("map.flat"), true);
  if (state.parcel) await dossier(state.parcel);
  if (state.swipe) await swipe(state.swipe);
  document.body.dataset.ready = "yes";
}

document.querySelector(".skip").addEventListener("click", (event) => { event.preventDefault(); byId("panel").focus(); });
addEventListener("keydown", (event) => {
  if (event.key === "Escape") {
    if (app.map?.isDrawing) { app.map.stopDrawing(); app.note(""); } else if (!byId("drawer").hidden) closeDrawer();
  } else if (event.key === "/" && !["INPUT", "TEXTAREA", "SELECT"].includes(event.target.tagName)) {
    event.preventDefault();
    byId("find-text").focus();
  } else if (event.altKey && /^[1-7]$/.test(event.key) && app.map) {
    event.preventDefault();
    byId("panel").focus(); // at once: who goes on to type while it loads keeps the focus he went to
    app.open(PANELS[Number(event.key) - 1].id);
  }
});

start().catch((error) => { fill(byId("panel"), trouble(error)); document.body.dataset.ready = "failed"; });
