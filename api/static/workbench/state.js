// What the page shows, in one object, and the hash that brings it back.

export const state = {
  lang: "zh-CN", at: null, zoom: null, layers: {}, relief: "hillshade", panel: "layers", user: "",
  check: "", project: "", plan: "", other: "", parcel: "", account: "", year: "", unit: "", swipe: "", grid: "plane",
};
const listeners = new Map();
let timer = 0;
let written = location.hash; // what the place of this page says, as far as we know

export function on(name, act) {
  listeners.set(name, [...(listeners.get(name) ?? []), act]);
}

export function emit(name, value) {
  for (const act of listeners.get(name) ?? []) act(value);
}

export function set(changes) {
  Object.assign(state, changes);
  clearTimeout(timer);
  timer = setTimeout(write, 150);
}

export function hash() {
  const said = new URLSearchParams();
  for (const name of ["lang", "panel", "relief", "check", "project", "plan", "other", "parcel", "account", "year", "unit", "swipe", "grid"]) {
    if (state[name]) said.set(name, state[name]);
  }
  if (state.at) said.set("at", [...state.at.map((one) => one.toFixed(6)), state.zoom.toFixed(2)].join(","));
  said.set("layers", Object.entries(state.layers).map(([role, opacity]) => `${role}:${opacity}`).join(","));
  return `#${said}`;
}

function write() {
  if (location.hash !== written) return; // somebody went to another place, and `hashchange` is on its way
  history.replaceState(null, "", hash());
  written = location.hash;
}

// Whether the hash said something; layers are kept only where they are named.
export function read() {
  const said = new URLSearchParams(location.hash.slice(1));
  for (const name of said.keys()) {
    if (name === "at") {
      const [lon, lat, zoom] = said.get("at").split(",").map(Number);
      if ([lon, lat, zoom].every(Number.isFinite)) Object.assign(state, { at: [lon, lat], zoom });
    } else if (name === "layers") {
      state.layers = Object.fromEntries(said.get("layers").split(",").filter(Boolean).map((one) => {
        const [role, opacity] = one.split(":");
        return [role, Math.min(Math.max(Number(opacity) || 1, 0.1), 1)];
      }));
    } else if (name in state) state[name] = said.get(name);
  }
  return said.has("layers");
}

addEventListener("hashchange", () => {
  clearTimeout(timer); // what was about to be written belongs to the place that was left
  if (location.hash !== written) location.reload();
});
