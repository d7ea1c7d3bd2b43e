// The service, asked with the key of whoever sits here. What it refuses comes back as a Problem.

import { half } from "./i18n.js";

const PLACE = "parkplan.key";

export class Problem extends Error {
  constructor(status, told) {
    super(half(told, "detail") || half(told, "title") || String(status));
    this.status = status;
    this.told = told;
  }
}

export const key = () => sessionStorage.getItem(PLACE) ?? "";
export const keep = (text) => (text ? sessionStorage.setItem(PLACE, text) : sessionStorage.removeItem(PLACE));
export const authorization = () => (key() ? { Authorization: `Bearer ${key()}` } : {});

// A key that was taken away: back to the gate at once, before the map's requests count as so many wrong keys.
let isKnown = false; // the key opened something once
export function leave() {
  if (!key() || !isKnown) return;
  keep("");
  location.reload();
}

export async function send(method, path, body = null, headers = {}) {
  const form = body instanceof FormData;
  const asked = { method, headers: { ...authorization(), ...headers } };
  if (body !== null) {
    asked.body = form ? body : JSON.stringify(body);
    if (!form) asked.headers["Content-Type"] = "application/json";
  }
  const answer = await fetch(path, asked);
  if (!answer.ok) {
    if (answer.status === 401) leave();
    const told = await answer.json().catch(() => ({ title: answer.statusText }));
    throw new Problem(answer.status, told);
  }
  isKnown = true;
  return answer;
}

export async function ask(method, path, body = null, headers = {}) {
  return (await send(method, path, body, headers)).json();
}

export const get = (path) => ask("GET", path);

// What a layer's tiles are, and the colours of its classes; asked once, for none is drawn before.
const layers = new Map();
export function layerOf(role) {
  if (!layers.has(role)) layers.set(role, get(`/tiles/${role}.json`).catch((error) => { layers.delete(role); throw error; }));
  return layers.get(role);
}

export const once = () => ({ "Idempotency-Key": crypto.randomUUID?.() ?? `${Date.now()}-${Math.random()}` });

// A file under its own name; the key travels in a header, so a plain link would not do.
export async function download(path, name) {
  const address = URL.createObjectURL(await (await send("GET", path)).blob());
  const link = document.createElement("a");
  link.href = address;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}

// The forms of a report that this service makes, as its own description names them: `/checks/{check_id}/report.` ...
let described = null;
export async function forms(prefix) {
  described ??= get("/openapi.json").then((told) => told.paths, () => ({}));
  const found = [];
  for (const [path, told] of Object.entries(await described)) {
    if (!path.startsWith(prefix) || !told.get) continue;
    const last = path.slice(prefix.length);
    if (!last.startsWith("{")) found.push(last);
    else found.push(...(told.get.parameters ?? []).filter((one) => one.name === last.slice(1, -1)).flatMap((one) => one.schema.enum ?? []));
  }
  return found;
}
