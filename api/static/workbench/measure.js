// Lengths and areas on the map, in the county's own plane: mu, hectares, square metres.
import { app } from "./app.js";
import { areaOf, lengthOf } from "./coordinates.js";
import { announce } from "./dom.js";
import { area, length } from "./format.js";
import { t } from "./i18n.js";

export function words(geometry) {
  const plane = app.setup.proj4;
  if (geometry.type === "LineString") return length(lengthOf(plane, geometry.coordinates));
  return `${area(areaOf(plane, geometry.coordinates))} · ${t("measure.around", { length: length(lengthOf(plane, geometry.coordinates[0])) })}`;
}

export function measure(mode) {
  app.map.clearOverlay("measure");
  app.note(t("measure.hint"));
  app.map.draw(mode, (geometry) => {
    app.map.setOverlay("measure", [{ type: "Feature", geometry, properties: { style: "upload" } }]);
    app.note(words(geometry), true);
    announce(words(geometry));
  }, (geometry) => app.note(words(geometry)));
}
