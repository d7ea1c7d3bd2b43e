// The quota dashboard: accounts by unit, year and kind with their states, and the entries behind every figure.
import { app, zoneName } from "./app.js";
import { get } from "./client.js";
import { announce, fill, h } from "./dom.js";
import { moment, mu, number, unit } from "./format.js";
import { named, said, t } from "./i18n.js";
import { projectName, projects } from "./library.js";
import { button, choice, field, section, table, trying } from "./parts.js";
import { set, state } from "./state.js";

const STATES = ["spent", "locked", "reserved", "available"];
const IN = ["granted", "transferred_in", "carried_in", "advanced"];
const OUT = ["transferred_out", "recalled"];
export const panel = { id: "quota", icon: "M4 20V10h4v10M10 20V4h4v16M16 20v-7h4v7", wide: true, render };

async function render(root) {
  const place = h("div");
  fill(root, h("h2", {}, t("quota.title")), place);
  const told = await trying(place, async () => { await projects().catch(() => null); return get("/quotas/report"); });
  if (!told) return;
  const years = [...new Set(told.rows.map((one) => one.year))].sort();
  const units = [...new Set(told.rows.map((one) => one.unit_code ?? one.facility))];
  const now = new Date().getFullYear();
  const year = Number(state.year) || (years.includes(now) ? now : years.at(-1));
  const shown = h("div", { id: "accounts" });
  const account = h("div", { id: "account" });
  const draw = () => bars(shown, account, told.rows.filter((one) => (state.year === "*" || one.year === (Number(state.year) || year)) && (!state.unit || (one.unit_code ?? one.facility) === state.unit)));
  fill(place, h("div", { class: "row" },
    field(t("word.year"), choice([["*", t("word.all")], ...years.map((one) => [String(one), String(one)])], state.year || String(year), (one) => { set({ year: one }); draw(); }, { id: "quota-year" })),
    field(t("quota.unit"), choice([["", t("word.all")], ...units.map((one) => [one, unitName(one)])], state.unit, (one) => { set({ unit: one }); draw(); }, { id: "quota-unit" }))),
  h("p", { class: "legend" }, STATES.map((one) => [h("i", { class: `stack is-${one}` }), named("balance", one), " "])), shown, account);
  draw();
  if (state.account) open(account, state.account);
}

const unitName = (code) => { const name = zoneName(code); return name === code ? (code?.length === 6 ? `${app.setup.county} ${code}` : code) : name; };

function bars(place, account, rows) {
  const total = (one) => STATES.reduce((sum, name) => sum + one[name], 0);
  const groups = Object.groupBy ? Object.groupBy(rows, (one) => `${one.unit_code ?? one.facility}·${one.year}`) : rows.reduce((all, one) => { (all[`${one.unit_code ?? one.facility}·${one.year}`] ??= []).push(one); return all; }, {});
  fill(place, Object.values(groups).map((mine) => {
    const most = Math.max(...mine.map(total), 1);
    return h("section", { class: "unit" }, h("h3", {}, `${unitName(mine[0].unit_code ?? mine[0].facility)} · ${mine[0].year}`), h("ul", { class: "stacks" }, mine.map((one) => h("li", {},
      button(said(one), () => { set({ account: one.account }); open(account, one.account); }, { class: "link", "data-account": one.account }),
      h("span", { class: "stackbar", role: "img", "aria-label": STATES.map((name) => `${named("balance", name)} ${number(one[name], 0)}`).join(t("word.comma")) }, STATES.map((name) => h("i", { class: `stack is-${name}`, style: { width: `${(one[name] / most) * 100}%` } }))),
      h("span", { class: "number" }, t("quota.left", { left: amount(one.available, one.unit), total: amount(total(one), one.unit) }), one.available <= 0 ? h("b", { class: "short" }, ` ${t("quota.none_left")}`) : null)))));
  }));
}

const amount = (value, of) => (of === "m2" ? t("format.mu", { mu: number(mu(value), 1) }) : `${number(value, 0)} ${unit(of)}`);

async function open(place, name) {
  const told = await trying(place, async () => {
    const balance = await get(`/quotas/${name}`);
    const entries = [];
    let after = 0;
    do {
      const page = await get(`/ledger/entries?account=${encodeURIComponent(name)}&after=${after}&limit=1000`);
      entries.push(...page.entries);
      after = page.next;
    } while (after && entries.length < 20_000);
    return { balance, entries };
  });
  if (!told) return;
  const { balance, entries } = told;
  const sum = (names) => names.reduce((all, one) => all + (balance[one] ?? 0), 0);
  const line = (names, sign) => names.filter((one) => balance[one]).map((one) => [`${sign} ${named("balance", one)}`, amount(balance[one], balance.unit), number(balance[one], 0)]);
  fill(place, section(`${said(balance)} · ${unitName(balance.unit_code ?? balance.facility)} · ${balance.year ?? ""}`, h("p", {}, h("code", {}, name)),
    h("p", { id: "why", class: balance.available <= 0 ? "problem" : "note" }, why(balance, entries)),
    table([t("quota.line"), "", unit(balance.unit)], [...line(IN, "+"), ...line(OUT, "−"), [h("b", {}, t("quota.total")), h("b", {}, amount(sum(IN) - sum(OUT), balance.unit)), number(sum(IN) - sum(OUT), 0)], ...line(["spent", "locked", "reserved"], "−"), [h("b", {}, named("balance", "available")), h("b", {}, amount(balance.available, balance.unit)), number(balance.available, 0)]], { numbers: [1, 2], caption: t("quota.line") }),
    h("h4", {}, t("quota.entries", { count: entries.length })),
    table(["#", t("quota.when"), t("quota.event"), t("quota.change"), t("quota.for"), t("opinion.document"), t("quota.by")], [...entries].reverse().map((one) => {
      const mine = one.postings.filter((posting) => posting.account === name);
      return [String(one.seq), moment(one.at), said(one), mine.map((posting) => h("span", { class: "posting" }, `${named("balance", posting.debit)} → ${named("balance", posting.credit)} `, number(posting.amount, 0))),
        one.project ? projectName(one.project) : one.batch ?? one.note ?? "", one.document ? `${one.document.number} ${one.document.date}` : "", one.actor];
    }), { numbers: [0, 3], caption: t("quota.entries", { count: entries.length }) })));
  announce(document.getElementById("why").textContent);
  place.scrollIntoView({ block: "nearest" });
}

// In words: what there was, who holds it, and what is left.
function why(balance, entries) {
  const holders = new Map();
  for (const one of entries) {
    if (!one.reservation) continue;
    for (const posting of one.postings.filter((row) => row.account === balance.account)) {
      const held = ["reserved", "locked", "spent"];
      const change = (held.includes(posting.credit) ? posting.amount : 0) - (held.includes(posting.debit) ? posting.amount : 0);
      const who = one.project ? projectName(one.project) : one.batch ?? one.reservation;
      holders.set(who, (holders.get(who) ?? 0) + change);
    }
  }
  const most = [...holders].filter(([, value]) => value > 0).sort((a, b) => b[1] - a[1]).slice(0, 5).map(([who, value]) => `${who} ${amount(value, balance.unit)}`);
  const total = [...IN, ...OUT].reduce((sum, name) => sum + (IN.includes(name) ? 1 : -1) * (balance[name] ?? 0), 0);
  return t(most.length ? "quota.why" : "quota.why_nobody", { total: amount(total, balance.unit), left: amount(balance.available, balance.unit), who: most.join(t("word.semicolon")), out: amount(OUT.reduce((sum, name) => sum + (balance[name] ?? 0), 0), balance.unit) });
}
