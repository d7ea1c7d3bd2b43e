// Small pieces that several panels show: verdicts, statuses, problems, tables, waiting.
import { announce, h } from "./dom.js";
import { download, forms, Problem } from "./client.js";
import { half, named, said, t } from "./i18n.js";

const SIGNS = {
  clear: "✓", warned: "△", conditional: "◐", undetermined: "?", blocked: "✕",
  pass: "✓", fail: "✕", unknown: "?", exempt: "–",
};

// A verdict or status: a sign, a word and a colour, so that none of them is needed alone.
export function badge(group, name) {
  return h("span", { class: `badge-${group} is-${name}` }, h("span", { class: "sign", "aria-hidden": "true" }, SIGNS[name] ?? "•"), named(group, name));
}

export const sign = (name) => h("span", { class: `sign is-${name}`, "aria-hidden": "true" }, SIGNS[name] ?? "•");

export function trouble(error) {
  if (!(error instanceof Problem)) return h("div", { class: "problem", role: "alert" }, h("b", {}, t("problem.title")), h("p", {}, error instanceof TypeError && /fetch|network/i.test(error.message) ? t("problem.no_answer") : String(error.message ?? error)));
  const { told } = error;
  const faults = told.errors?.length ? faultList(told.errors) : null;
  const facts = told.account ? h("p", {}, t("problem.short", { account: told.account, needed: told.needed, available: told.available, unit: told.unit ?? "" })) : null;
  return h("div", { class: "problem", role: "alert" },
    h("b", {}, `${error.status} ${half(told, "title")}`),
    h("p", {}, half(told, "detail")), facts, faults, told.fix && !faults ? h("p", { class: "fix" }, half(told, "fix")) : null);
}

// Every fault: where it is, what is wrong, and what to do about it. What all of them share is said once, above.
export function faultList(rows) {
  const shared = ["file", "layer"].filter((name) => rows.length > 1 && rows[0][name] && rows.every((row) => row[name] === rows[0][name]));
  return h("div", { class: "faults" }, h("p", {}, h("b", {}, t("upload.faults", { count: rows.length })), shared.map((name) => [" ", t(`fault.${name}`), " ", h("code", {}, String(rows[0][name]))])),
    h("ol", {}, rows.map((row) => faultRow(row, shared))));
}

export const faultRow = (row, said_ = []) => h("li", {},
  ["file", "layer", "feature", "field"].filter((name) => !(Array.isArray(said_) && said_.includes(name))).filter((name) => row[name]).map((name) => [h("span", { class: "where" }, `${t(`fault.${name}`)} `, h("code", {}, String(row[name]))), " "]),
  half(row, "reason"), row.fix ? h("span", { class: "fix" }, ` → ${half(row, "fix")}`) : null);

// Work that may fail, with its trouble shown in `place`.
export async function trying(place, work, button = null) {
  place.replaceChildren(h("p", { class: "waiting" }, t("word.waiting")));
  if (button) button.disabled = true;
  try {
    const found = await work();
    place.replaceChildren();
    return found;
  } catch (error) {
    place.replaceChildren(trouble(error));
    announce(place.textContent);
    return null;
  } finally {
    if (button) button.disabled = false;
  }
}

export function table(heads, rows, { caption = null, numbers = [] } = {}) {
  return h("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": caption ?? t("word.table") }, h("table", {},
    caption ? h("caption", { class: "unseen" }, caption) : null,
    h("thead", {}, h("tr", {}, heads.map((one, i) => h("th", { scope: "col", class: numbers.includes(i) ? "number" : null }, one)))),
    h("tbody", {}, rows.map((row) => {
      const { cells, ...attributes } = Array.isArray(row) ? { cells: row } : row;
      return h("tr", attributes, cells.map((one, i) => h("td", { class: numbers.includes(i) ? "number" : null }, one ?? "")));
    }))));
}

export const section = (title, ...rest) => h("section", {}, h("h3", {}, title), ...rest);
export const more = (title, ...rest) => h("details", {}, h("summary", {}, title), ...rest);
export const field = (label, control, hint = null) => h("label", { class: "field" }, h("span", {}, label), control, hint ? h("small", {}, hint) : null);
export const button = (label, onclick, attributes = {}) => h("button", { type: "button", onclick, ...attributes }, label);
// A page of its own tab. `opener` hands the tab's key on to it; both are of this service.
export const page = (address, label) => h("a", { href: address, target: "_blank", rel: "opener" }, label);
export const facts = (pairs) => h("dl", { class: "facts" }, pairs.filter(([, value]) => value !== null && value !== undefined && value !== "").map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]));

export function choice(options, value, onchange, attributes = {}) {
  const made = h("select", { onchange: (event) => onchange(event.target.value), ...attributes },
    options.map(([key, words]) => h("option", { value: key, selected: key === value }, words)));
  made.value = value ?? "";
  return made;
}

export function findingRow(one, show) {
  return h("li", { class: `finding is-${one.status}` },
    h("div", {}, badge("status", one.status), " ", h("span", { class: "tag" }, named("severity", one.severity)),
      one.verified === "memory" ? h("span", { class: "tag", title: t("finding.unverified_why") }, t("finding.unverified")) : null,
      one.accuracy === "boundary" ? h("span", { class: "tag" }, t("finding.boundary")) : null),
    h("p", {}, said(one.message)),
    one.remedy ? h("p", { class: "fix" }, `→ ${said(one.remedy)}`) : null,
    h("p", { class: "basis" }, `〔${one.basis}${one.edition ? ` ${one.edition}` : ""}〕`,
      one.layer_version ? h("code", {}, one.layer_version.split(":")[0]) : null,
      one.evidence && show ? button(t("finding.show"), () => show(one), { class: "link" }) : null));
}

const FORMS = ["pdf", "docx", "xlsx", "html", "geojson"];

// The reports of a check or a plan, each as a file under its own name; only those that this service makes.
export function reports(pattern, path, name, map) {
  const place = h("p", { class: "reports", hidden: true }, h("b", {}, t("word.reports")));
  forms(pattern).then((made) => { place.hidden = !made.length && !map; place.append(...FORMS.filter((form) => made.includes(form)).flatMap((form) => [" ", button(form.toUpperCase(), async (event) => {
    const one = event.currentTarget;
    one.disabled = true;
    await download(`${path}${form}`, `${name}.${form}`).catch((error) => place.after(trouble(error)));
    one.disabled = false;
  }, { class: "link", "data-form": form })]), ...(map ? [" ", page(map, t("link.map_page"))] : [])); });
  return place;
}

// How bad a finding is, the worst first.
const RANK = { fail: { block: 0, condition: 1, warn: 3 }, unknown: { block: 2, condition: 2, warn: 4 } };
export const worst = (findings) => [...findings].sort((a, b) => (RANK[a.status]?.[a.severity] ?? 9) - (RANK[b.status]?.[b.severity] ?? 9));
