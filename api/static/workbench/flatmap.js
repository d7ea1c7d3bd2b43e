// The map where there is no WebGL: relief as PNG tiles, parcels of the window and what the panels draw, by Leaflet.
import { get, key, send } from "./client.js";
import { boundsOf } from "./coordinates.js";
import { t } from "./i18n.js";

export const kind = "flat";
const PARCELS_FROM = 15;

export async function create(container, setup, view, { attribution }) {
  const map = L.map(container, { attributionControl: true, zoomControl: false, preferCanvas: false });
  L.control.zoom({ position: "topright", zoomInTitle: t("map.zoom_in"), zoomOutTitle: t("map.zoom_out") }).addTo(map);
  L.control.scale({ imperial: false, position: "bottomright" }).addTo(map);
  map.attributionControl.setPrefix(false);
  if (view) map.setView([view.at[1], view.at[0]], Math.round(view.zoom + 1));
  else map.fitBounds(corners(setup.focus ?? setup.bounds));
  const made = new FlatMap(map, setup);
  made.attribute(attribution);
  return made;
}

const corners = ([west, south, east, north]) => [[south, west], [north, east]];

// Tiles with the key in a header.
const Tiles = () => L.GridLayer.extend({
  createTile(at, done) {
    const picture = L.DomUtil.create("img");
    picture.alt = "";
    send("GET", `/tiles/${this.options.name}/${at.z}/${at.x}/${at.y}.png`)
      .then((answer) => answer.blob())
      .then((blob) => {
        picture.src = URL.createObjectURL(blob);
        picture.onload = () => { URL.revokeObjectURL(picture.src); done(null, picture); };
      })
      .catch((error) => done(error, picture));
    return picture;
  },
});

class FlatMap {
  constructor(map, setup) {
    this.map = map;
    this.setup = setup;
    this.kind = kind;
    this.overlays = new Map();
    this.handlers = [];
    this.drawing = null;
    this.shown = new Map();
    map.on("moveend", () => this.#parcels());
  }

  attribute(text) {
    if (this.attribution) this.map.attributionControl.removeAttribution(this.attribution);
    this.attribution = escaped(text);
    this.map.attributionControl.addAttribution(this.attribution);
  }

  async setLayer(role, opacity) {
    if (opacity === null) { this.shown.get(role)?.remove(); this.shown.delete(role); return; }
    if (role === "parcels" || role === "zones") {
      this.shown.get(role)?.remove();
      this.shown.set(role, L.layerGroup().addTo(this.map));
      this.shown.get(role).opacity = opacity;
      if (role === "zones") this.#zones(opacity); else await this.#parcels();
    }
  }

  #zones(opacity) {
    for (const zone of this.setup.zones) {
      L.rectangle(corners(zone.bounds), { ...this.#paint("zones"), opacity, interactive: false, dashArray: "6 4" })
        .bindTooltip(textOf(zone.name), { permanent: true, direction: "center" }).addTo(this.shown.get("zones"));
    }
  }

  async #parcels() {
    const group = this.shown.get("parcels");
    if (!group) return;
    group.clearLayers();
    if (this.map.getZoom() < PARCELS_FROM) return;
    const found = await get(`/parcels?bbox=${this.bounds().map((one) => one.toFixed(6)).join(",")}&limit=500`);
    if (this.shown.get("parcels") !== group) return;
    group.clearLayers();
    L.geoJSON(found, { style: { ...this.#paint("parcels"), opacity: group.opacity }, interactive: false }).addTo(group);
  }

  #paint(name) {
    const style = this.setup.styles[name];
    return { color: style.shape === "point" ? style.fill : style.color, weight: style.weight, dashArray: style.dash, fill: style.shape === "area", fillColor: style.fill ?? style.color, fillOpacity: style.fill ? style.opacity : 0.12 };
  }

  async setRelief(name, told) {
    this.relief?.remove();
    this.relief = null;
    if (name) this.relief = new (Tiles())({ name, opacity: 0.6, minZoom: told?.minzoom ?? 7, maxNativeZoom: told?.maxzoom ?? 15, maxZoom: 20, key: key() }).addTo(this.map);
  }

  setOverlay(name, features) {
    this.clearOverlay(name);
    const drawn = L.geoJSON({ type: "FeatureCollection", features }, {
      style: (feature) => this.#paint(feature.properties.style),
      pointToLayer: (feature, at) => L.circleMarker(at, { ...this.#paint(feature.properties.style), fill: true, radius: 7 }),
      onEachFeature: (feature, layer) => { if (feature.properties.label) layer.bindTooltip(textOf(feature.properties.label), { permanent: features.length < 30, direction: "center" }); },
    }).addTo(this.map);
    drawn.eachLayer((layer) => layer.on("click", (event) => { L.DomEvent.stop(event); this.#click(event.latlng, [layer.feature.properties]); }));
    this.overlays.set(name, drawn);
  }

  clearOverlay(name) {
    this.overlays.get(name)?.remove();
    this.overlays.delete(name);
  }

  #click(latlng, hit) {
    if (this.drawing) { this.drawing.add(latlng); return; }
    this.hit = hit;
    this.handlers.forEach((act) => act([latlng.lng, latlng.lat]));
    this.hit = [];
  }

  overlayAt() {
    return this.hit ?? [];
  }

  fit(geometries, most = 17) {
    const box = boundsOf(geometries);
    if (box) this.map.fitBounds(corners(box), { maxZoom: most, animate: false, padding: [40, 40] });
  }

  goTo(at, zoom) {
    this.map.setView([at[1], at[0]], zoom ? Math.round(zoom + 1) : this.map.getZoom(), { animate: false });
  }

  // Leaflet counts tiles of 256 pixels, MapLibre of 512: one zoom apart
  view() {
    const { lng, lat } = this.map.getCenter();
    return { at: [lng, lat], zoom: this.map.getZoom() - 1 };
  }

  bounds() {
    const box = this.map.getBounds();
    return [box.getWest(), box.getSouth(), box.getEast(), box.getNorth()];
  }

  metresPerPixel() {
    const { lat } = this.map.getCenter();
    return (40_075_016.686 * Math.cos((lat * Math.PI) / 180)) / (256 * 2 ** this.map.getZoom());
  }

  on(name, act) {
    if (name === "move") this.map.on("moveend", () => act());
    else if (name === "click") { this.handlers.push(act); if (this.handlers.length === 1) this.map.on("click", (event) => this.#click(event.latlng, [])); }
    else this.map.on("mousemove", (event) => act([event.latlng.lng, event.latlng.lat]));
  }

  // Corner by corner; a double click or the first corner again ends it.
  draw(mode, done, changed = () => {}) {
    this.stopDrawing();
    const at = [];
    const line = L.polyline([], { color: "#111111", weight: 3 }).addTo(this.map);
    const geometry = () => {
      const points = at.map(({ lng, lat }) => [lng, lat]);
      return mode === "line" ? { type: "LineString", coordinates: points } : { type: "Polygon", coordinates: [[...points, points[0]]] };
    };
    const end = () => { const drawn = geometry(); this.stopDrawing(); if (at.length >= (mode === "line" ? 2 : 3)) done(drawn); };
    this.map.doubleClickZoom.disable();
    this.map.on("dblclick", end);
    this.drawing = {
      add: (latlng) => { if (at.length && latlng.equals(at.at(-1))) return; at.push(latlng); line.setLatLngs(at); if (at.length > 1) changed(geometry()); },
      stop: () => { line.remove(); this.map.off("dblclick", end); this.map.doubleClickZoom.enable(); },
    };
  }

  get isDrawing() {
    return this.drawing !== null;
  }

  stopDrawing() {
    this.drawing?.stop();
    this.drawing = null;
  }

  resize() {
    this.map.invalidateSize();
  }

  remove() {
    this.map.remove();
  }
}

function escaped(text) {
  return textOf(text).innerHTML;
}

// Leaflet takes strings as markup, elements as they are.
function textOf(text) {
  const made = document.createElement("span");
  made.textContent = text;
  return made;
}
