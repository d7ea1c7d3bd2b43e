// CGCS2000 3-degree Gauss-Kruger in both forms, degrees, and whatever somebody types of them.

const WEST = 72;
const EAST = 138;

const meridian = (lon) => Math.min(Math.max(Math.round(lon / 3) * 3, WEST), EAST);
// CGCS2000 and GRS80 agree to a tenth of a millimetre; easting 500 km at the meridian
const plane = (cm) => `+proj=tmerc +lat_0=0 +lon_0=${cm} +k=1 +x_0=500000 +y_0=0 +ellps=GRS80 +units=m +no_defs`;

export function toPlane(lon, lat, cm = meridian(lon)) {
  const [east, north] = proj4("+proj=longlat +ellps=GRS80 +no_defs", plane(cm), [lon, lat]);
  return { cm, zone: cm / 3, east, north };
}

export function fromPlane(east, north, cm) {
  return proj4(plane(cm), "+proj=longlat +ellps=GRS80 +no_defs", [east, north]);
}

export const toWorking = (definition, point) => proj4("+proj=longlat +ellps=GRS80 +no_defs", definition, point);
export const fromWorking = (definition, point) => proj4(definition, "+proj=longlat +ellps=GRS80 +no_defs", point);

// A geometry in the working CRS as degrees.
export function geometryFrom(definition, geometry) {
  const moved = (at) => (typeof at[0] === "number" ? fromWorking(definition, at.slice(0, 2)) : at.map(moved));
  return { type: geometry.type, coordinates: moved(geometry.coordinates) };
}

function dms(value, [plus, minus]) {
  const seconds = Math.round(Math.abs(value) * 36_000) / 10;
  const [d, m, s] = [Math.floor(seconds / 3600), Math.floor((seconds % 3600) / 60), seconds % 60];
  return `${d}°${String(m).padStart(2, "0")}′${s.toFixed(1).padStart(4, "0")}″${value < 0 ? minus : plus}`;
}

// The forms in which a place is read out; `plane` and `numbered` are X (north), Y (east) as survey sheets write them.
export const FORMS = {
  plane: (lon, lat) => { const at = toPlane(lon, lat); return `X ${at.north.toFixed(2)}  Y ${at.east.toFixed(2)}  CM ${at.cm}°E`; },
  numbered: (lon, lat) => { const at = toPlane(lon, lat); return `X ${at.north.toFixed(2)}  Y ${at.zone}${at.east.toFixed(2).padStart(9, "0")}`; },
  dms: (lon, lat) => `${dms(lat, "NS")}  ${dms(lon, "EW")}`,
  degrees: (lon, lat) => `${lat.toFixed(6)}, ${lon.toFixed(6)}`,
};

const DMS = /(\d{1,3})\s*[°度d]\s*(?:(\d{1,2})\s*[′'分m]\s*)?(?:(\d{1,2}(?:\.\d+)?)\s*[″"秒s]?\s*)?([NSEW北南东西])?/gi;

// Degrees of what was typed: two numbers in any of the forms and in either order, or null where it is no place.
// Plane coordinates without a zone number are taken on the meridian given.
export function parsed(text, cm) {
  const clean = text.replace(/[\uff0c\u3001;\uff1b]/g, ",").replace(/[XYNE]\s*[=:\uff1a]?\s*(?=\d)/gi, " ");
  if (/[°度]/.test(text)) {
    const behind = text.replace(/([东西南北])[经纬]([^东西南北]*)/g, "$2$1 "); // the side behind its degrees
    const found = [...behind.matchAll(DMS)].map(([, d, m, s, side]) => {
      const value = Number(d) + Number(m ?? 0) / 60 + Number(s ?? 0) / 3600;
      return { value: /[SW南西]/i.test(side ?? "") ? -value : value, side: side ?? "" };
    });
    if (found.length !== 2) return null;
    const lonFirst = /[EW东西]/i.test(found[0].side) || (!found[0].side && Math.abs(found[0].value) > 60);
    return ordered(found.map((one) => one.value), lonFirst);
  }
  const numbers = clean.match(/-?\d+(?:\.\d+)?/g)?.map(Number) ?? [];
  if (numbers.length !== 2 || /[^\d\s.,-]/.test(clean.replace(/CM.*$/i, ""))) return null;
  const [a, b] = numbers;
  if (Math.abs(a) <= 180 && Math.abs(b) <= 180) return ordered([a, b], Math.abs(a) > 60);
  const numbered = numbers.find((one) => one >= 24e6 && one < 46e6);
  if (numbered !== undefined) {
    const zone = Math.floor(numbered / 1e6);
    const north = numbers.find((one) => one !== numbered);
    return north < 1e7 ? fromPlane(numbered - zone * 1e6, north, zone * 3) : null;
  }
  const [east, north] = a < b ? [a, b] : [b, a];
  return east > 1e5 && east < 1e6 && north > 1e6 && north < 7e6 ? fromPlane(east, north, cm) : null;
}

function ordered([a, b], lonFirst) {
  const [lon, lat] = lonFirst ? [a, b] : [b, a];
  return Math.abs(lat) <= 90 && Math.abs(lon) <= 180 ? [lon, lat] : null;
}

// Plane area and length in the working CRS of lon/lat rings and lines.
export function areaOf(definition, rings) {
  return rings.reduce((sum, ring, place) => {
    const at = ring.map((point) => toWorking(definition, point));
    const twice = at.reduce((all, [x, y], i) => { const [nx, ny] = at[(i + 1) % at.length]; return all + x * ny - nx * y; }, 0);
    return sum + (place === 0 ? 1 : -1) * Math.abs(twice / 2);
  }, 0);
}

export function lengthOf(definition, line) {
  const at = line.map((point) => toWorking(definition, point));
  return at.slice(1).reduce((sum, [x, y], i) => sum + Math.hypot(x - at[i][0], y - at[i][1]), 0);
}

export function boundsOf(geometries) {
  const box = [Infinity, Infinity, -Infinity, -Infinity];
  const walk = (at) => {
    if (typeof at[0] !== "number") return at.forEach(walk);
    box[0] = Math.min(box[0], at[0]); box[1] = Math.min(box[1], at[1]);
    box[2] = Math.max(box[2], at[0]); box[3] = Math.max(box[3], at[1]);
  };
  geometries.filter(Boolean).forEach((one) => (one.type === "GeometryCollection" ? one.geometries.forEach((part) => walk(part.coordinates)) : walk(one.coordinates)));
  return Number.isFinite(box[0]) ? box : null;
}
