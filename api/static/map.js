// What folium leaves undone on a map page; called once, after folium's own script.
"use strict";

function finishMap(map) {
  map.attributionControl.remove();
  map.setMaxZoom(20);
  L.control.zoom({ zoomInTitle: "放大 Zoom in", zoomOutTitle: "缩小 Zoom out" }).addTo(map);
  L.control.fullscreen({ title: "全屏 Full screen", titleCancel: "退出全屏 Leave full screen", fullscreenElement: document.documentElement }).addTo(map);
  measureOn(map);
  L.control.scale({ imperial: false, position: "bottomleft" }).addTo(map);
  L.control.mousePosition({ position: "bottomright", lngFirst: true, separator: ", ", emptyString: "经度, 纬度 Lon, lat" }).addTo(map);

  // The layer control is the legend, and stands beside the map where it covers nothing.
  const control = document.querySelector(".leaflet-control-layers");
  if (control) document.getElementById("legend").append(control);

  // A finding's number takes the map to its evidence.
  for (const button of document.querySelectorAll("button[data-bounds]")) {
    button.addEventListener("click", () => {
      const [west, south, east, north] = button.dataset.bounds.split(",").map(Number);
      map.fitBounds([[south, west], [north, east]], { maxZoom: 17, padding: [60, 60] });
    });
  }
}

// Distances and areas by clicking: on the ellipsoid's mean sphere, good to a few parts in a thousand, and said so.
function measureOn(map) {
  const R = 6371008.8;
  const RAD = Math.PI / 180;
  let points = [];
  let drawing = null;
  let on = false;
  const box = L.control({ position: "topleft" });
  box.onAdd = () => {
    const bar = L.DomUtil.create("div", "leaflet-bar measure");
    const button = L.DomUtil.create("a", "", bar);
    button.href = "#";
    button.title = "量距离和面积（双击结束，Esc 取消） Measure: double click ends, Esc cancels";
    button.setAttribute("role", "button");
    button.setAttribute("aria-label", button.title);
    button.setAttribute("aria-pressed", "false");
    button.textContent = "⟷";
    const said = L.DomUtil.create("output", "measured", bar);
    said.hidden = true;
    L.DomEvent.disableClickPropagation(bar);
    L.DomEvent.on(button, "click", (event) => {
      L.DomEvent.preventDefault(event);
      set(!on);
    });

    function set(value) {
      on = value;
      points = [];
      if (drawing) drawing.remove();
      drawing = null;
      button.setAttribute("aria-pressed", String(on));
      bar.classList.toggle("on", on);
      map.getContainer().classList.toggle("measuring", on);
      if (on) map.doubleClickZoom.disable();
      else map.doubleClickZoom.enable();
      said.hidden = !on;
      said.textContent = on ? "在图上逐点点击 Click point by point" : "";
    }

    function tell() {
      if (drawing) drawing.remove();
      drawing = L.polygon(points, { color: "#111", weight: 2, dashArray: "4 4", fillOpacity: points.length > 2 ? 0.08 : 0, interactive: false }).addTo(map);
      let length = 0;
      for (let n = 1; n < points.length; n++) length += map.distance(points[n - 1], points[n]);
      const parts = [length < 10000 ? `${length.toFixed(1)} m` : `${(length / 1000).toFixed(3)} km`];
      if (points.length > 2) {
        let sum = 0;
        for (let n = 0; n < points.length; n++) {
          const a = points[n];
          const b = points[(n + 1) % points.length];
          sum += (b.lng - a.lng) * RAD * (2 + Math.sin(a.lat * RAD) + Math.sin(b.lat * RAD));
        }
        const area = Math.abs((sum * R * R) / 2);
        parts.push(`${area.toFixed(0)} m²`, `${(area / 10000).toFixed(4)} ha`, `${(area * 0.0015).toFixed(2)} 亩`);
      }
      said.textContent = `${parts.join("　")}（约 approx.）`;
    }

    map.on("click", (event) => {
      if (!on) return;
      points.push(event.latlng);
      tell();
    });
    map.on("dblclick", () => {
      if (on) on = false; // what was measured stays until the button is pressed again
      map.getContainer().classList.remove("measuring");
    });
    document.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && !said.hidden) set(false);
    });
    return bar;
  };
  box.addTo(map);
}
