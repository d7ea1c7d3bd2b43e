// Words of the page from the catalogue, and the right half of what the service says in two languages.

export const LANGUAGES = ["zh-CN", "en"];
let words = {};
let current = LANGUAGES[0];

export async function speak(language) {
  current = LANGUAGES.includes(language) ? language : LANGUAGES[0];
  words = await (await fetch(`/static/locale/${current}.json`)).json();
  document.documentElement.lang = current;
  document.title = t("app.title");
  translate(document);
}

export const language = () => current;
export const locale = () => (current === "en" ? "en-GB" : "zh-CN");

// A key that is missing shows itself; a test finds it first.
export function t(key, values = {}) {
  const said = words[key] ?? key;
  return said.replace(/\{(\w+)\}/g, (whole, name) => (name in values ? String(values[name]) : whole));
}

// Words whose last step is a name from the service; a name the catalogue does not know is shown as it is.
export const named = (group, name) => words[`${group}.${name}`] ?? String(name);

export function said(pair) {
  if (pair === null || pair === undefined) return "";
  return (current === "en" ? pair.en : pair.zh) ?? pair.zh ?? pair.en ?? "";
}

// The chosen half of a refusal, whose Chinese lies beside the English under `<name>_zh`.
export const half = (told, name) => (current === "en" ? told[name] : told[`${name}_zh`] ?? told[name]) ?? "";

export function translate(root) {
  for (const one of root.querySelectorAll("[data-t]")) one.textContent = t(one.dataset.t);
  for (const one of root.querySelectorAll("[data-t-label]")) one.setAttribute("aria-label", t(one.dataset.tLabel));
  for (const one of root.querySelectorAll("[data-t-placeholder]")) one.setAttribute("placeholder", t(one.dataset.tPlaceholder));
  document.getElementById("language").lang = current === "en" ? "zh-CN" : "en";
}
