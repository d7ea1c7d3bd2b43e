// The layer tree: what is shown, how strongly, what it looks like, what it is made of, what is missing.
import { app } from "./app.js";
import { get, layerOf } from "./client.js";
import { fill, h, svg } from "./dom.js";
import { number } from "./format.js";
import { said, t } from "./i18n.js";
import { more, page, trying } from "./parts.js";
import { set, state } from "./state.js";

let legend = null;
export const panel = { id: "layers", icon: "M12 3 2 8l10 5 10-5zM4 12l-2 1 10 5 10-5-2-1M4 16l-2 1 10 5 10-5-2-1", render };

export function swatch(style) {
  const hatched = style.hatch ? [svg("path", { d: "M2 10 10 2M6 14 18 2M14 14 26 2M22 14 26 10", stroke: style.color, "stroke-width": 1.2 })] : [];
  const pen = { stroke: style.color, "stroke-width": Math.min(style.weight, 3), "stroke-dasharray": style.dash, fill: style.shape === "line" ? "none" : style.fill ?? "none", "fill-opacity": style.opacity };
  const shape = { area: ["rect", { x: 2, y: 2, width: 24, height: 12 }], line: ["path", { d: "M2 12 10 4l8 8 8-8" }], point: ["circle", { cx: 14, cy: 8, r: 5, "fill-opacity": 1 }] }[style.shape];
  return svg("svg", { class: "swatch", width: 28, height: 16, "aria-hidden": "true" }, svg(shape[0], { ...pen, ...shape[1] }), hatched);
}

async function render(root) {
  const place = h("div");
  fill(root, h("h2", {}, t("layers.title")), reliefs(), place, links());
  const told = await trying(place, () => get("/layers?extents=false"));
  if (!told) return;
  const rows = told.layers.filter((one) => app.setup.styles[one.role]);
  const groups = Object.keys(app.setup.groups).filter((one) => !["check", "change"].includes(one));
  place.append(
    ...groups.map((group) => {
      const mine = rows.filter((one) => app.setup.styles[one.role].group === group);
      return mine.length ? h("fieldset", { class: "tree" }, h("legend", {}, said(app.setup.groups[group])), mine.map(row)) : null;
    }).filter(Boolean),
    told.missing.length ? h("p", { class: "note" }, t("layers.missing"), told.missing.map(said).join(t("word.comma"))) : "",
  );
}

function row(layer) {
  const style = app.setup.styles[layer.role];
  const opacity = h("input", {
    type: "range", min: 0.1, max: 1, step: 0.1, value: state.layers[layer.role] ?? 1, hidden: !(layer.role in state.layers), "aria-label": t("layers.opacity", { name: said(layer) }),
    onchange: (event) => show(layer.role, Number(event.target.value)),
  });
  const box = h("input", { type: "checkbox", id: `layer-${layer.role}`, onchange: async () => { opacity.hidden = !box.checked; await show(layer.role, box.checked ? Number(opacity.value) : null); tints(); } });
  box.checked = layer.role in state.layers;
  const about = `${layer.source}${layer.vintage ? ` · ${layer.vintage}` : ""} · v${layer.version} · ${layer.digest.slice(0, 12)}`;
  const classes = h("details", { hidden: true }, h("summary", {}, t("layers.classes")));
  const tints = async () => {
    const rows = box.checked ? (await layerOf(layer.role).catch(() => ({}))).classes ?? [] : [];
    classes.hidden = !rows.length;
    fill(classes, classes.firstChild, h("div", { class: "ramp" }, rows.map((one) => h("span", { class: "step" }, h("i", { style: { background: one.colour } }), said(one)))));
  };
  tints();
  return h("div", { class: "layer" }, box, h("label", { for: `layer-${layer.role}`, title: about }, swatch(style), said(layer)),
    h("span", { class: "count", title: t("layers.features") }, number(layer.features, 0)), opacity,
    classes);
}

export function show(role, opacity) {
  const layers = { ...state.layers };
  if (opacity === null) delete layers[role];
  else layers[role] = opacity;
  set({ layers });
  return app.map.setLayer(role, opacity).catch((error) => app.note(t("layers.failed", { name: said(app.setup.styles[role]) || role, why: error.message })));
}

function reliefs() {
  if (!app.setup.reliefs.length) return null;
  legend = h("div", { class: "ramp" });
  if (!app.setup.reliefs.includes(state.relief)) state.relief = "";
  const options = ["", ...app.setup.reliefs].map((name) => h("label", {}, h("input", { type: "radio", name: "relief", value: name, checked: state.relief === name, onchange: () => relief(name) }), t(`relief.${name || "none"}`)));
  const drawn = h("fieldset", { class: "tree inline" }, h("legend", {}, t("relief.title")), options, legend);
  relief(state.relief, false);
  return drawn;
}

export async function relief(name, draw = true) {
  if (name && !app.setup.reliefs.includes(name)) name = "";
  set({ relief: name });
  const place = legend;
  let told = null;
  if (name) {
    try {
      told = await get(`/tiles/${name}.json`);
    } catch {
      place?.replaceChildren(h("small", {}, t("relief.failed")));
      app.map.setRelief("");
      return;
    }
  }
  if (state.relief !== name) return; // another was chosen while this one was asked for
  app.relief = { name, told };
  if (draw) await app.map.setRelief(name, told);
  if (place) fill(place, (told?.legend ?? []).map((one) => h("span", { class: "step" }, h("i", { style: { background: one.colour } }), said(one))));
}

function links() {
  const to = (path, key) => h("li", {}, page(path, t(key)));
  return more(t("layers.more"), h("ul", { class: "links" }, to("/maps/overview", "link.overview"),
    app.setup.zones.map((one) => h("li", {}, page(`/maps/zones/${encodeURIComponent(one.id)}`, one.name))),
    to("/outlook.html", "link.outlook"), to("/public", "link.public"), to("/docs", "link.docs"), to("/readyz", "link.state")));
}
