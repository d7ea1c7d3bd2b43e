// Two maps under one slider: what is there and what is planned, or plan A and plan B.
import { app } from "./app.js";
import { byId, fill, h } from "./dom.js";
import { t } from "./i18n.js";
import { button } from "./parts.js";
import { assigned } from "./panel_plan.js";
import { get } from "./client.js";
import { set, state } from "./state.js";

let unfollow = null;

export async function swipe(what) {
  stop();
  if (!what || app.map.kind !== "webgl") { if (what) app.note(t("swipe.no_webgl")); return; }
  set({ swipe: what });
  const place = byId("map-other");
  place.hidden = false;
  const other = await app.make(place, app.map.view());
  app.other = other;
  unfollow = other.follow(app.map);
  const handle = h("input", { type: "range", min: 0, max: 100, value: 50, step: 1, "aria-label": t(`swipe.${what}_label`), id: "swipe-handle", oninput: (event) => cut(Number(event.target.value)) });
  fill(byId("swipe"), h("span", {}, t(`swipe.${what}_left`)), handle, h("span", {}, t(`swipe.${what}_right`)), button(t("swipe.stop"), stop));
  byId("swipe").hidden = false;
  byId("cut").hidden = false;
  cut(50);
  handle.focus();
  await other.setRelief(app.relief.name, app.relief.told);
  if (what === "plans") await plans(other);
  else await layers(other);
}

function cut(percent) {
  byId("map-other").style.setProperty("clip-path", `inset(0 0 0 ${percent}%)`);
  byId("cut").style.setProperty("left", `${percent}%`);
}

// Left the survey as it is, right what the plan says of the same ground.
async function layers(other) {
  for (const role of ["zones", "urban_boundary", "plan_zoning"]) if (app.setup.styles[role].loaded) await other.setLayer(role, 1).catch(() => {});
  if (app.setup.styles.land_use.loaded && !("land_use" in state.layers)) { await app.map.setLayer("land_use", 1).catch(() => {}); app.map.lent = "land_use"; }
}

async function plans(other) {
  const [one, two] = await Promise.all([state.other, state.plan].map((id) => (id ? get(`/plans/${id}`) : null)));
  for (const role of Object.keys(state.layers)) if (app.setup.styles[role]?.loaded) await other.setLayer(role, state.layers[role]).catch(() => {});
  app.map.clearOverlay("plan-other");
  if (one?.assignments) app.map.setOverlay("plan", assigned(one, "assigned_other"));
  if (two?.assignments) other.setOverlay("plan", assigned(two, "assigned"));
}

export function stop() {
  unfollow?.();
  unfollow = null;
  if (!app.other) return;
  app.other.remove();
  app.other = null;
  if (app.map.lent) { app.map.setLayer(app.map.lent, null); app.map.lent = null; }
  byId("map-other").hidden = true;
  byId("swipe").hidden = true;
  byId("cut").hidden = true;
  const was = state.swipe;
  set({ swipe: "" });
  if (was === "plans" && state.panel === "plan") app.open("plan");
}
