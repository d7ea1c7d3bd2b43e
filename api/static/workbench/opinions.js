// Closing a condition: an opinion of a second person, on a document, for a reason. The verdict stays.
import { may } from "./app.js";
import { ask } from "./client.js";
import { h } from "./dom.js";
import { moment } from "./format.js";
import { named, said, t } from "./i18n.js";
import { choice, field, section, trying } from "./parts.js";

export function opinions(found, changed) {
  const given = (found.opinions ?? []).map((one) => h("li", {}, h("b", {}, one.rule), " ", named("decision", one.decision), " · ", typeof one.document === "string" ? one.document : `${one.document.number} ${one.document.date}`, " · ", one.by, " · ", moment(one.at), h("p", {}, one.reason)));
  const open = found.findings.filter((one) => ["fail", "unknown"].includes(one.status) && one.severity !== "warn");
  if (!open.length) return null;
  return section(t("opinion.title"), h("p", { id: "remains" }, said(found.remains)), given.length ? h("ul", { class: "given" }, given) : null,
    may("reviewer") ? form(found, open, changed) : h("p", { class: "note" }, t("opinion.who")));
}

function form(found, open, changed) {
  const told = h("div", { "aria-live": "polite" });
  let decision = "satisfied";
  let rule = open[0].rule;
  const paper = h("input", { type: "text", required: true, maxlength: 200, id: "opinion-document" });
  const day = h("input", { type: "date" });
  const reason = h("textarea", { rows: 2, required: true, maxlength: 2000, id: "opinion-reason" });
  const save = h("button", { type: "submit" }, t("opinion.save"));
  return h("form", {
    class: "opinion", onsubmit: async (event) => {
      event.preventDefault();
      const document_ = day.value ? { number: paper.value, date: day.value } : paper.value;
      const made = await trying(told, () => ask("POST", `/checks/${found.id}/opinions`, { rule, decision, document: document_, reason: reason.value }), save);
      if (made) changed();
    },
  }, field(t("opinion.rule"), choice(open.map((one) => [one.rule, `${one.rule} · ${named("status", one.status)}`]), rule, (one) => { rule = one; })),
  field(t("opinion.decision"), choice(["satisfied", "maintained", "overridden"].map((one) => [one, named("decision", one)]), decision, (one) => { decision = one; })),
  h("div", { class: "row" }, field(t("opinion.document"), paper), field(t("opinion.date"), day)), field(t("opinion.reason"), reason), save, told);
}
