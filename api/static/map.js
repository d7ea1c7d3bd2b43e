// What folium leaves undone on a map page; called once, after folium's own script.
"use strict";

function finishMap(map) {
  map.attributionControl.remove();
  map.setMaxZoom(20);
  L.control.zoom({ zoomInTitle: "放大 Zoom in", zoomOutTitle: "缩小 Zoom out" }).addTo(map);
  L.control.fullscreen({ title: "全屏 Full screen", titleCancel: "退出全屏 Leave full screen", fullscreenElement: document.documentElement }).addTo(map);
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
