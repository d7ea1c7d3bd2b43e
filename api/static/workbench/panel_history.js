// The checks already made: found by project, parcel, day or verdict, each the way to its answer and its report.
import { app, zoneName } from "./app.js";
import { get } from "./client.js";
import { fill, h } from "./dom.js";
import { area, moment } from "./format.js";
import { named, said, t } from "./i18n.js";
import { badge, button, choice, field, reports, trying } from "./parts.js";
import { set } from "./state.js";

const VERDICTS = ["clear", "warned", "conditional", "undetermined", "blocked"];
const sought = { project: "", parcel: "", since: "", until: "", verdict: "" };
export const panel = { id: "history", icon: "M12 7v5l4 2M4 12a8 8 0 1 0 2.5-5.8L4 8V4", render };

async function render(root) {
  const place = h("div", { id: "past-checks", "aria-live": "polite" });
  const text = (name, type = "text") => h("input", { type, value: sought[name], name, maxlength: 200, onchange: (event) => { sought[name] = event.target.value.trim(); } });
  const form = h("form", { id: "find-checks", onsubmit: (event) => { event.preventDefault(); list(place); } },
    h("div", { class: "row" }, field(t("word.project"), text("project")), field(t("word.parcel"), text("parcel"))),
    h("div", { class: "row" }, field(t("past.since"), text("since", "date")), field(t("past.until"), text("until", "date"))),
    h("div", { class: "row" }, field(t("word.verdict"), choice([["", t("word.all")], ...VERDICTS.map((one) => [one, named("verdict", one)])], sought.verdict, (one) => { sought.verdict = one; })),
      h("button", { type: "submit", class: "main" }, t("past.find"))));
  fill(root, h("h2", {}, t("past.title")), h("p", { class: "note" }, t("past.hint")), form, place);
  await list(place);
}

async function list(place, after = "") {
  const asked = new URLSearchParams(Object.entries({ ...sought, after }).filter(([, value]) => value));
  const rest = after ? place.appendChild(h("div")) : place;
  const found = await trying(rest, () => get(`/checks?${asked}`));
  if (!found) return;
  fill(rest, after || found.checks.length ? null : h("p", {}, t("past.none")), pastChecks(found.checks),
    found.next ? button(t("past.more"), (event) => { event.target.remove(); list(place, found.next); }, { id: "more-checks" }) : null);
}

// Some checks as a list, here and in a parcel's dossier.
export function pastChecks(rows) {
  return h("ol", { class: "past" }, rows.map((one) => h("li", { "data-check": one.id },
    h("p", {}, badge("verdict", one.verdict), " ", h("b", {}, one.project.name ?? one.project.id ?? ""), " ", h("span", { class: "tag" }, named("purpose", one.purpose))),
    h("p", { class: "note" }, [moment(one.created_at), area(one.area_m2), one.zones.map(zoneName).join(t("word.comma")), one.by].filter(Boolean).join(" · ")),
    one.parcels.length ? h("p", { class: "note" }, one.parcels.slice(0, 5).join(t("word.comma")), one.parcels.length > 5 ? " …" : "") : null,
    h("div", { class: "row" }, button(t("past.open"), () => { set({ check: one.id }); app.open("check"); }, { class: "link", title: said(one.conclusion) }),
      reports("/checks/{check_id}/report.", `/checks/${one.id}/report.`, `check-${one.id}`, `/maps/checks/${one.id}`)))));
}
