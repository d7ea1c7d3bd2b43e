// Sheets of a map page that are too many for it: vector tiles of this service, painted as the other sheets are.
"use strict";

// A painter for protomaps-leaflet: the path options of Leaflet, on a canvas.
function painterOf({ color, weight, dashArray, fill, fillColor, fillOpacity, shape, hatch }) {
  const dash = dashArray ? dashArray.split(" ").map(Number) : [];
  const hatching = hatch ? hatchOf(color) : null;
  return {
    before(context) {
      context.strokeStyle = color;
      context.lineWidth = weight;
      context.lineJoin = context.lineCap = "round";
      context.setLineDash(dash);
      context.fillStyle = hatching ? context.createPattern(hatching, "repeat") : (fillColor ?? color);
    },
    draw(context, lines, zoom, feature) {
      context.beginPath();
      if (feature.geomType === 1) {
        for (const [spot] of lines) {
          context.moveTo(spot.x + 4, spot.y);
          context.arc(spot.x, spot.y, 4, 0, 2 * Math.PI);
        }
      } else {
        for (const line of lines) {
          for (let n = 0; n < line.length; n++) {
            if (n === 0) context.moveTo(line[n].x, line[n].y);
            else context.lineTo(line[n].x, line[n].y);
          }
        }
      }
      if (fill && feature.geomType !== 2) {
        context.globalAlpha = fillOpacity;
        context.fill();
        context.globalAlpha = 1;
      }
      context.stroke();
    },
  };
}

// The hatching of the legend: stripes of 3 in 8 pixels, leaning to the right.
function hatchOf(color) {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = 11; // 8 pixels across the stripes are 11.3 along the edge
  const context = canvas.getContext("2d");
  context.strokeStyle = color;
  context.globalAlpha = 0.7;
  context.lineWidth = 3;
  context.beginPath();
  for (const shift of [-11, 0, 11]) {
    context.moveTo(shift, 11);
    context.lineTo(shift + 11, 0);
  }
  context.stroke();
  return canvas;
}

function tiledSheet({ role, layer, paint, fields, first, last }) {
  const sheet = protomapsL.leafletLayer({
    url: `/tiles/${role}/{z}/{x}/{y}.mvt`,
    maxDataZoom: last,
    minNativeZoom: first + 1, // a tile is twice as wide as a square of the map
    maxZoom: 24,
    attribution: "",
    paintRules: [{ dataLayer: role, symbolizer: painterOf(paint) }],
  });
  sheet.told = { role, layer, fields };
  sheet.on("add", () => answerClicks(sheet._map));
  return sheet;
}

// A canvas has no features to click at, so the service is asked what lies there; what it says stays text.
function answerClicks(map) {
  if (map.answersClicks) return;
  map.answersClicks = true;
  let opened = null;
  let count = 0;
  map.on("popupopen", (event) => (opened = event.popup));
  map.on("preclick", async ({ latlng, originalEvent }) => {
    // a path under the pointer keeps the click to itself, but not what comes before it
    if (map.getContainer().classList.contains("measuring") || originalEvent.target.closest(".leaflet-control")) return;
    const sheets = new Map();
    map.eachLayer((one) => one.told && sheets.set(one.told.role, one.told));
    if (!sheets.size) return;
    const mine = ++count;
    opened = null;
    const metres = (40_075_016 * Math.cos((latlng.lat * Math.PI) / 180)) / 256 / 2 ** map.getZoom();
    const place = `lon=${latlng.lng.toFixed(7)}&lat=${latlng.lat.toFixed(7)}&tolerance_m=${Math.min(500, 6 * metres).toFixed(1)}`;
    const answer = await fetch(`/identify?${place}`).catch(() => null);
    if (mine !== count || !answer?.ok) return;
    const there = (await answer.json()).layers.filter((one) => sheets.has(one.role));
    const tables = there.flatMap((one) => one.features.map((feature) => tableOf(sheets.get(one.role), feature)));
    if (!tables.length || mine !== count) return;
    if (opened) opened.getElement()?.querySelector(".leaflet-popup-content")?.append(...tables);
    else {
      const box = document.createElement("div");
      box.append(...tables);
      L.popup({ className: "facts" }).setLatLng(latlng).setContent(box).openOn(map);
    }
  });
}

function tableOf({ layer, fields }, feature) {
  const table = document.createElement("table");
  const said = { ...feature.attributes, id: feature.id, name: feature.name };
  for (const [column, label] of fields) {
    const row = table.insertRow();
    const head = document.createElement("th");
    head.innerHTML = label; // escaped by the page
    const cell = document.createElement("td");
    if (column === "") cell.innerHTML = layer; // likewise
    else cell.textContent = told(said[column]);
    row.append(head, cell);
  }
  return table;
}

function told(value) {
  if (value === null || value === undefined) return "—";
  return value === true ? "是 yes" : value === false ? "否 no" : String(value);
}
