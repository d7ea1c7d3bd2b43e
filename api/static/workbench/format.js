// Numbers and units as an office writes them.
import { locale, t } from "./i18n.js";

const MU_M2 = 2000 / 3;

export function number(value, digits = 2, least = 0) {
  if (value === null || value === undefined || Number.isNaN(value)) return t("word.unknown");
  return new Intl.NumberFormat(locale(), { maximumFractionDigits: digits, minimumFractionDigits: least }).format(value);
}

export const mu = (m2) => m2 / MU_M2;
export const area = (m2) => t("format.area", { mu: number(mu(m2), 2), ha: number(m2 / 10_000, 4), m2: number(m2, 2) });
export const short = (m2) => t("format.mu", { mu: number(mu(m2), 1) });
export const length = (m) => (m < 1000 ? t("format.m", { m: number(m, 1) }) : t("format.km", { km: number(m / 1000, 3) }));
export const unit = (name) => ({ m2: "m²", kva: "kVA", m3d: "m³/d", td: "t/d", deg: "°", wan: t("unit.wan") })[name] ?? name ?? "";
export const percent = (share, digits = 0) => (share === null || share === undefined ? t("word.unknown") : `${number(share * 100, digits)} %`);

export function moment(text) {
  return text ? new Intl.DateTimeFormat(locale(), { dateStyle: "medium", timeStyle: "short" }).format(new Date(text)) : "";
}
