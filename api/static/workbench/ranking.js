// How candidates are ranked: the method and the weights that are asked for, and what the answer rests on.
import { h, fill } from "./dom.js";
import { number, percent } from "./format.js";
import { said, t } from "./i18n.js";
import { choice, field, more, table } from "./parts.js";

const METHODS = ["topsis", "weighted_sum", "owa"];
const WAYS = ["equal", "stated", "entropy", "ahp"];
const TIMES = ["9", "7", "5", "3", "2", "1", "1/2", "1/3", "1/5", "1/7", "1/9"];
const asked = { method: "topsis", way: "equal", orness: 0.5, stated: {}, compared: [], pairs: {} };

// The body of a request: what stands in the controls.
export function ranking() {
  const weights = { equal: null, entropy: "entropy", stated: asked.stated, ahp: { ahp: comparisons() } }[asked.way];
  return { method: asked.method, ...(weights === null ? {} : { weights }), ...(asked.method === "owa" ? { orness: asked.orness } : {}) };
}

function comparisons() {
  const found = {};
  pairs().forEach(([one, other]) => { (found[one] ??= {})[other] = asked.pairs[`${one} ${other}`] ?? "1"; });
  return found;
}

const pairs = () => asked.compared.flatMap((one, i) => asked.compared.slice(i + 1).map((other) => [one, other]));

export function controls(criteria) {
  const place = h("div", { id: "how-to-rank" });
  const draw = () => fill(place,
    field(t("rank.method"), choice(METHODS.map((one) => [one, t(`rank.method_${one}`)]), asked.method, (value) => { asked.method = value; draw(); }, { id: "rank-method" })),
    asked.method === "owa" ? field(t("rank.orness"), slider(0, 1, 0.05, asked.orness, (value) => { asked.orness = value; }, { id: "rank-orness" }), t("rank.orness_hint")) : null,
    field(t("rank.weights"), choice(WAYS.map((one) => [one, t(`rank.way_${one}`)]), asked.way, (value) => { asked.way = value; draw(); }, { id: "rank-way" })),
    asked.way === "stated" ? h("div", { class: "weights" }, criteria.map((one) => field(said(one), slider(0, 10, 1, asked.stated[one.name] ??= 1, (value) => { asked.stated[one.name] = value; }, { "data-criterion": one.name })))) : null,
    asked.way === "ahp" ? compare(criteria) : null);
  draw();
  return place;
}

function slider(min, max, step, value, onchange, attributes) {
  const told = h("output", {}, number(value));
  return h("span", { class: "slider" }, h("input", { type: "range", min, max, step, value, ...attributes, oninput: (event) => { onchange(Number(event.target.value)); told.textContent = number(Number(event.target.value)); } }), told);
}

function compare(criteria) {
  const words = Object.fromEntries(criteria.map((one) => [one.name, said(one)]));
  const place = h("div");
  const draw = () => fill(place, pairs().map(([one, other]) => {
    const key = `${one} ${other}`;
    return field(t("rank.pair", { one: words[one], other: words[other] }), choice(TIMES.map((times) => [times, times]), asked.pairs[key] ?? "1", (value) => { asked.pairs[key] = value; }, { "data-pair": key }));
  }));
  const chosen = (name, on) => { asked.compared = on ? [...asked.compared, name] : asked.compared.filter((one) => one !== name); draw(); };
  draw();
  return h("div", { class: "weights" }, h("p", { class: "note" }, t("rank.compare")),
    h("div", { class: "ticks", tabindex: "0", role: "group", "aria-label": t("rank.compare") }, criteria.map((one) => h("label", { class: "tick" }, h("input", { type: "checkbox", checked: asked.compared.includes(one.name), "data-compared": one.name, onchange: (event) => chosen(one.name, event.target.checked) }), ` ${said(one)}`))),
    place);
}

const bar = (share, most = 1) => h("span", { class: "bar" }, h("i", { style: { width: `${most ? Math.min(share / most, 1) * 100 : 0}%` } }));

// What the order rests on: the weights, between which of them the first stays first, and who else might be it.
export function grounds(found) {
  const robust = found.robustness;
  if (!robust) return null;
  const how = found.ranking;
  const ratio = how.consistency_ratio === null ? null : t("rank.ratio", { ratio: number(how.consistency_ratio, 3) });
  const counting = found.criteria.filter((one) => one.matters).sort((a, b) => b.weight - a.weight);
  const idle = found.criteria.filter((one) => !one.matters);
  const most = Math.max(...counting.map((one) => one.weight), 0);
  const rows = counting.map((one) => {
    const [low, high] = robust.keeps_winner[one.name];
    return [said(one), [bar(one.weight, most), " ", percent(one.weight, 1)], low <= 0 && high >= 1 ? t("rank.always") : `${percent(low, 1)} – ${percent(high, 1)}`, number(robust.drives[one.name], 1)];
  });
  return h("section", { id: "grounds" }, h("h3", {}, t("rank.grounds")),
    h("p", {}, [t(`rank.method_${how.method}`), t(`rank.way_${how.weights}`), how.orness === null ? null : `${t("rank.orness")} ${number(how.orness)}`, ratio].filter(Boolean).join(" · ")),
    rows.length ? table([t("rank.criterion"), t("rank.weight"), t("rank.keeps"), t("rank.drives")], rows, { numbers: [3], caption: t("rank.grounds") }) : null,
    idle.length ? more(t("rank.idle", { count: idle.length }), h("ul", {}, idle.map((one) => h("li", {}, `${said(one)}${t("word.colon")}${said(one.why)}`)))) : null,
    more(t("rank.first", { draws: number(robust.draws) }), table([t("search.site"), t("rank.share"), t("rank.three")], robust.first_place.map((one) => [one.name, [bar(one.share), " ", percent(one.share, 1)], percent(one.first_three, 1)]), { numbers: [2], caption: t("rank.share") })));
}

// One candidate: each criterion as it is, and how good that is among the candidates.
export function sides(found, one) {
  const others = Object.entries(one.ranks).filter(([name]) => name !== found.ranking.method).map(([name, place]) => t("rank.by_other", { method: t(`rank.method_${name}`), place }));
  const columns = found.criteria.filter((criterion) => one.criteria[criterion.name] !== undefined);
  return [h("p", { class: "note" }, others.join(t("word.comma"))),
    more(t("search.criteria"), table([t("word.measure"), t("word.value"), t("search.better"), t("rank.good")], columns.map((criterion) => [said(criterion), number(one.criteria[criterion.name]), t(`search.${criterion.better}`), one.scaled[criterion.name] === undefined ? "–" : [bar(one.scaled[criterion.name]), " ", percent(one.scaled[criterion.name])]]), { numbers: [1], caption: t("search.criteria") }))];
}
