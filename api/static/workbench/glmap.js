// The map where the machine has WebGL: vector tiles per layer, what the panels draw on top, drawing by terra-draw.
import * as maplibregl from "maplibre-gl";
import {
  TerraDraw, TerraDrawLineStringMode, TerraDrawPointMode, TerraDrawPolygonMode, TerraDrawRectangleMode,
} from "terra-draw";
import { TerraDrawMapLibreGLAdapter } from "terra-draw-maplibre-gl-adapter";

import { authorization, layerOf, leave } from "./client.js";
import { boundsOf } from "./coordinates.js";

const FONT = '"Noto Sans CJK SC", "Microsoft YaHei", "PingFang SC", "SimHei", sans-serif';
const EMPTY = { type: "FeatureCollection", features: [] };
// From which zoom a crowded layer is drawn, and how thin lines are where much lies close together.
const CROWDED = { parcels: 12.5, land_use: 11, plots: 11, karst: 11, survey_slope: 11 };
const wide = (weight) => ["interpolate", ["linear"], ["zoom"], 9, weight * 0.25, 13, weight * 0.7, 16, weight];
const MODES = { polygon: TerraDrawPolygonMode, rectangle: TerraDrawRectangleMode, line: TerraDrawLineStringMode, point: TerraDrawPointMode };

export const kind = "webgl";

export function works() {
  const probe = document.createElement("canvas");
  return Boolean(probe.getContext("webgl2"));
}

export async function create(container, setup, view, { attribution, trouble, words = {} }) {
  const map = new maplibregl.Map({
    container,
    style: { version: 8, sources: {}, layers: [{ id: "paper", type: "background", paint: { "background-color": "#f4f3ee" } }] },
    ...(view ? { center: view.at, zoom: view.zoom } : { bounds: setup.focus ?? setup.bounds, fitBoundsOptions: { padding: 30 } }),
    minZoom: 7,
    maxZoom: 20,
    attributionControl: false,
    localIdeographFontFamily: FONT,
    dragRotate: false,
    pitchWithRotate: false,
    fadeDuration: 0,
    locale: words,
    transformRequest: (url) => ({ url, headers: authorization() }),
  });
  map.touchZoomRotate.disableRotation();
  map.keyboard.disableRotation();
  map.addControl(new maplibregl.ScaleControl({ maxWidth: 120 }), "bottom-left");
  map.addControl(new maplibregl.NavigationControl({ showCompass: false }), "top-right");
  map.on("error", (event) => event.error?.status === 401 && leave());
  map.on("error", (event) => trouble(event.sourceId ?? "", event.error));
  await new Promise((done) => map.once("load", done));
  const made = new GlMap(map, setup);
  made.attribute(attribution);
  return made;
}

class GlMap {
  constructor(map, setup) {
    this.map = map;
    this.setup = setup;
    this.kind = kind;
    this.order = Object.keys(setup.styles);
    this.drawing = null;
    // anchors: relief under all layers, layers in the order of their table, what the panels draw above them
    for (const id of ["above-relief", "above-layers"]) map.addLayer({ id, type: "background", layout: { visibility: "none" } });
    for (const name of ["found", "candidate", "assigned", "assigned_other", "upload", "site", "route_road", "route_power",
      "route_water", "route_effluent", "evidence_exempt", "evidence_pass", "evidence_unknown", "evidence_fail"]) this.#hatch(name);
  }

  #hatch(name) {
    const style = this.setup.styles[name];
    if (!style.hatch || this.map.hasImage(`hatch-${name}`)) return;
    const size = 12;
    const canvas = new OffscreenCanvas(size, size);
    const pen = canvas.getContext("2d");
    pen.strokeStyle = style.color;
    pen.lineWidth = 1.6;
    for (const shift of [-size, 0, size]) {
      pen.beginPath();
      pen.moveTo(shift, size);
      pen.lineTo(shift + size, 0);
      pen.stroke();
    }
    this.map.addImage(`hatch-${name}`, pen.getImageData(0, 0, size, size));
  }

  // A layer of land classes has a colour for each, told by the first two digits of its code.
  #tint(name, plain) {
    const rows = this.setup.classes[name];
    return rows?.length ? ["match", ["slice", ["coalesce", ["get", "code"], ""], 0, 2], ...rows.flatMap((one) => [one.digits, one.colour]), plain] : plain;
  }

  #paints(id, source, style, more, opacity = 1) {
    const found = [];
    const dash = style.dash ? { "line-dasharray": style.dash.split(" ").map((one) => Math.max(Number(one) / Math.max(style.weight, 1), 0.1)) } : {};
    if (style.shape === "point") {
      found.push({ id: `${id}-point`, type: "circle", paint: { "circle-radius": ["interpolate", ["linear"], ["zoom"], 9, 2.5, 14, 6], "circle-color": style.fill, "circle-stroke-color": style.color, "circle-stroke-width": 1.5, "circle-opacity": opacity } });
    } else {
      const polygon = { filter: ["==", ["geometry-type"], "Polygon"] };
      if (style.shape === "area" && (style.fill || style.hatch)) {
        const paint = style.hatch ? { "fill-pattern": `hatch-${more.name}`, "fill-opacity": opacity } : { "fill-color": this.#tint(more.name, style.fill), "fill-opacity": (this.setup.classes[more.name]?.length ? 0.85 : style.opacity) * opacity };
        found.push({ id: `${id}-fill`, type: "fill", paint, ...polygon });
      }
      found.push({ id: `${id}-line`, type: "line", paint: { "line-color": style.color, "line-width": more.filter ? style.weight : wide(style.weight), "line-opacity": opacity, ...dash } });
    }
    return found.map((one) => ({ ...one, ...source, filter: both(one.filter, more.filter) }));
  }

  // A layer of the county shown at an opacity, or hidden where it is null.
  async setLayer(role, opacity) {
    const style = this.setup.styles[role];
    const mine = this.map.getStyle().layers.filter((one) => one.source === `tiles-${role}` || one.id === `${role}-label`).map((one) => one.id);
    mine.forEach((id) => this.map.removeLayer(id));
    if (opacity === null) return;
    if (!this.map.getSource(`tiles-${role}`)) {
      const told = await layerOf(role);
      this.setup.classes[role] = told.classes;
      if (this.map.getSource(`tiles-${role}`)) return;
      this.map.addSource(`tiles-${role}`, {
        type: "vector", tiles: told.tiles.map((one) => new URL(one, location.href).href.replace(/%7B/gi, "{").replace(/%7D/gi, "}")),
        minzoom: told.minzoom ?? 0, maxzoom: told.maxzoom ?? 16, ...(told.bounds ? { bounds: told.bounds } : {}),
      });
    }
    if (style.hatch) this.#hatch(role);
    const before = this.#before(role);
    const from = { source: `tiles-${role}`, "source-layer": role };
    for (const one of this.#paints(role, from, style, { name: role }, opacity)) this.map.addLayer({ ...one, minzoom: Math.max(CROWDED[role] ?? 0, one.minzoom ?? 0) }, before);
    if (role === "zones") this.#zoneLabels(style);
    else if (style.label) this.map.addLayer({ id: `${role}-label`, type: "symbol", ...from, minzoom: 12, ...label(["get", "name"], style) }, "above-layers");
  }

  // One name a zone: a tile would write it anew on every piece it holds.
  #zoneLabels(style) {
    const features = this.setup.zones.map((one) => ({ type: "Feature", geometry: { type: "Point", coordinates: one.at }, properties: { name: one.name } }));
    if (!this.map.getSource("zone-names")) this.map.addSource("zone-names", { type: "geojson", data: { type: "FeatureCollection", features } });
    this.map.addLayer({ id: "zones-label", type: "symbol", source: "zone-names", minzoom: 9, ...label(["get", "name"], style) }, "above-layers");
  }

  attribute(text) {
    if (this.attribution) this.map.removeControl(this.attribution);
    this.attribution = new maplibregl.AttributionControl({ compact: false, customAttribution: text });
    this.map.addControl(this.attribution, "bottom-right");
  }

  #before(role) {
    const shown = this.map.getStyle().layers.map((one) => one.id);
    for (const next of this.order.slice(this.order.indexOf(role) + 1)) {
      const found = shown.find((id) => id.startsWith(`${next}-`) && /-(fill|line|point)$/.test(id) && id.replace(/-(fill|line|point)$/, "") === next);
      if (found) return found;
    }
    return shown.find((id) => id.endsWith("-label") && !id.startsWith("overlay")) ?? "above-layers";
  }

  // Relief from the elevation model: hillshade, slope, suitability or none.
  async setRelief(name, told) {
    if (this.map.getLayer("relief")) this.map.removeLayer("relief");
    if (this.map.getSource("relief")) this.map.removeSource("relief");
    if (!name) return;
    this.map.addSource("relief", {
      type: "raster", tiles: [`${location.origin}/tiles/${name}/{z}/{x}/{y}.png`], tileSize: 256,
      minzoom: told?.minzoom ?? 7, maxzoom: told?.maxzoom ?? 15, ...(told?.bounds ? { bounds: told.bounds } : {}),
    });
    this.map.addLayer({ id: "relief", type: "raster", source: "relief", paint: { "raster-opacity": name === "hillshade" ? 0.55 : 0.7, "raster-fade-duration": 0 } }, "above-relief");
  }

  // Features of a panel; each names its style in `properties.style` and may carry a `label` and an `id`.
  setOverlay(name, features) {
    const data = { type: "FeatureCollection", features };
    const source = this.map.getSource(`overlay-${name}`);
    if (source) source.setData(data);
    else this.map.addSource(`overlay-${name}`, { type: "geojson", data });
    for (const one of new Set(features.map((feature) => feature.properties.style))) {
      const id = `overlay-${name}-${one}`;
      if (this.map.getLayer(`${id}-line`) || this.map.getLayer(`${id}-point`)) continue;
      const style = this.setup.styles[one];
      const filter = ["==", ["get", "style"], one];
      const from = { source: `overlay-${name}` };
      for (const layer of this.#paints(id, from, style, { name: one, filter })) this.map.addLayer(layer);
      this.map.addLayer({ id: `${id}-spot`, type: "circle", ...from, filter: both(filter, ["==", ["geometry-type"], "Point"]), paint: { "circle-radius": 7, "circle-color": style.fill ?? style.color, "circle-stroke-color": style.color, "circle-stroke-width": 2 } });
      this.map.addLayer({ id: `${id}-label`, type: "symbol", ...from, filter: both(filter, ["has", "label"]), ...label(["get", "label"], style) });
    }
  }

  clearOverlay(name) {
    this.map.getSource(`overlay-${name}`)?.setData(EMPTY);
  }

  overlayAt(point) {
    const ids = this.map.getStyle().layers.filter((one) => one.id.startsWith("overlay-") && /-(fill|line|spot)$/.test(one.id)).map((one) => one.id);
    return this.map.queryRenderedFeatures(this.map.project(point), { layers: ids }).map((one) => one.properties);
  }

  fit(geometries, most = 17) {
    const box = boundsOf(geometries);
    if (box) this.map.fitBounds(box, { padding: 60, maxZoom: most, animate: false });
  }

  goTo(at, zoom) {
    this.map.jumpTo({ center: at, ...(zoom ? { zoom } : {}) });
  }

  view() {
    const { lng, lat } = this.map.getCenter();
    return { at: [lng, lat], zoom: this.map.getZoom() };
  }

  bounds() {
    return this.map.getBounds().toArray().flat();
  }

  metresPerPixel() {
    const { lat } = this.map.getCenter();
    return (40_075_016.686 * Math.cos((lat * Math.PI) / 180)) / (512 * 2 ** this.map.getZoom());
  }

  on(name, act) {
    if (name === "move") this.map.on("moveend", () => act());
    else this.map.on(name === "pointer" ? "mousemove" : name, (event) => act([event.lngLat.lng, event.lngLat.lat]));
  }

  follow(other) {
    const map = this.map;
    const copy = () => map.jumpTo({ center: other.map.getCenter(), zoom: other.map.getZoom() });
    other.map.on("move", copy);
    copy();
    return () => other.map.off("move", copy);
  }

  // One shape at a time: `done` gets its geometry, `changed` whatever stands so far.
  draw(mode, done, changed = () => {}) {
    this.stopDrawing();
    const styles = { fillColor: "#ffffff", fillOpacity: 0.25, outlineColor: "#111111", outlineWidth: 3, lineStringColor: "#111111", lineStringWidth: 3, closingPointColor: "#b35c00", closingPointWidth: 6 };
    const drawing = new TerraDraw({ adapter: new TerraDrawMapLibreGLAdapter({ map: this.map }), modes: [new MODES[mode]({ styles })] });
    drawing.start();
    drawing.setMode({ polygon: "polygon", rectangle: "rectangle", line: "linestring", point: "point" }[mode]);
    drawing.on("change", () => {
      const drawn = drawing.getSnapshot().find((one) => ["Polygon", "LineString"].includes(one.geometry.type));
      if (drawn) changed(drawn.geometry);
    });
    drawing.on("finish", (id) => {
      const drawn = drawing.getSnapshot().find((one) => one.id === id);
      setTimeout(() => { this.stopDrawing(); done(drawn.geometry); });
    });
    this.drawing = drawing;
    this.map.doubleClickZoom.disable();
  }

  get isDrawing() {
    return this.drawing !== null;
  }

  stopDrawing() {
    if (!this.drawing) return;
    this.drawing.stop();
    this.drawing = null;
    this.map.doubleClickZoom.enable();
  }

  resize() {
    this.map.resize();
  }

  remove() {
    this.stopDrawing();
    this.map.remove();
  }
}

function both(one, other) {
  if (one && other) return ["all", one, other];
  return one ?? other ?? ["literal", true];
}

function label(text, style) {
  return {
    layout: { "text-field": text, "text-font": ["sans"], "text-size": 13, "text-offset": style.shape === "point" ? [0, 1.1] : [0, 0], "text-anchor": style.shape === "point" ? "top" : "center", "text-max-width": 12 },
    paint: { "text-color": "#1d2733", "text-halo-color": "#ffffff", "text-halo-width": 1.6 },
  };
}
