// @ts-check
/** Language of the page, and numbers and times written its way. */

import { STRINGS as MOST_STRINGS } from "./strings.js";
import { ADMINISTRATION_STRINGS } from "./strings-administration.js";
import { LESSON_STRINGS } from "./strings-lessons.js";
import { PROBLEM_STRINGS } from "./strings-problems.js";
import { RECORD_STRINGS } from "./strings-record.js";
import { TEACH_STRINGS } from "./strings-teach.js";
import { WATCH_STRINGS } from "./strings-watch.js";

/** @typedef {"en" | "de"} Language */

/** @type {readonly Language[]} */
export const LANGUAGES = ["en", "de"];
const KEPT = "trd.language";
const STRINGS = { ...MOST_STRINGS, ...ADMINISTRATION_STRINGS, ...LESSON_STRINGS, ...PROBLEM_STRINGS, ...RECORD_STRINGS, ...TEACH_STRINGS, ...WATCH_STRINGS };

const LOCALES = { en: "en-GB", de: "de-DE" };

/** @type {Language} */
let current = "en";

/** The language chosen before, else the browser's, else English. */
export function beginLanguage() {
  const wanted = localStorage.getItem(KEPT) ?? navigator.language.slice(0, 2);
  useLanguage(wanted === "de" ? "de" : "en");
}

/** @param {Language} language */
export function useLanguage(language) {
  current = language;
  localStorage.setItem(KEPT, language);
  document.documentElement.lang = language;
}

export function language() {
  return current;
}

/**
 * A string of the page. `{name}` is replaced by values of that name; where `n` is 1, `KEY.one` is preferred.
 * @param {string} key
 * @param {Record<string, string | number>} [values]
 */
export function t(key, values = {}) {
  const entry = (values.n === 1 && STRINGS[`${key}.one`]) || STRINGS[key];
  if (!entry) throw new Error(`no string '${key}'`);
  return entry[current].replace(/\{(\w+)\}/g, (whole, name) => {
    const value = values[name];
    return value === undefined ? whole : typeof value === "number" ? num(value) : value;
  });
}

/**
 * The string of a code of the station, or the code itself.
 * @param {string} prefix
 * @param {string} code
 */
export function word(prefix, code) {
  return STRINGS[`${prefix}.${code}`] ? t(`${prefix}.${code}`) : code;
}

export const NOTHING = "–";

/**
 * @param {number | null | undefined} value
 * @param {number} [digits] after the point, at most
 * @param {number} [least] after the point, at least
 */
export function num(value, digits = 2, least = 0) {
  if (value === null || value === undefined) return NOTHING;
  return value.toLocaleString(current, { maximumFractionDigits: digits, minimumFractionDigits: Math.min(least, digits) });
}

/**
 * A number for a field, as `parsed` reads it: thousands stand together.
 * @param {number} value
 * @param {number} [digits] after the point, at most
 * @param {number} [least] after the point, at least
 */
export function editable(value, digits = 3, least = 0) {
  return value.toLocaleString(current, { maximumFractionDigits: digits, minimumFractionDigits: least, useGrouping: false });
}

/**
 * A number as people type it, with a decimal comma too; NaN where it is none, or more than a number.
 * @param {string} text
 */
export function parsed(text) {
  return /^[-+]?(\d+[.,]?\d*|[.,]\d+)$/.test(text.trim()) ? Number(text.trim().replace(",", ".")) : NaN;
}

/** @param {number | null | undefined} value */
export function score(value) {
  return num(value, 2, 2);
}

/**
 * @param {number | null | undefined} value 0 to 1
 * @param {number} [digits]
 */
export function percent(value, digits = 1) {
  if (value === null || value === undefined) return NOTHING;
  return `${num(100 * value, digits)} %`; // with a space in both languages, as in texts and tables
}

/** @param {string} iso */
export function time(iso) {
  return new Date(iso).toLocaleTimeString(LOCALES[current], { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });
}

/** @param {string} iso */
export function dateTime(iso) {
  return new Date(iso).toLocaleString(LOCALES[current], {
    year: "numeric", month: current === "de" ? "2-digit" : "short", day: "2-digit", hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false,
  });
}

/** @param {string} iso */
export function day(iso) {
  return new Date(iso).toLocaleDateString(LOCALES[current], { year: "numeric", month: current === "de" ? "2-digit" : "short", day: "2-digit" });
}

/** A time of today, else with its date. @param {string} iso */
export function timeOrDate(iso) {
  return day(iso) === day(new Date().toISOString()) ? time(iso) : dateTime(iso);
}

/**
 * @param {number} bytes
 */
export function size(bytes) {
  const [value, unit] = bytes >= 1e9 ? [bytes / 1e9, "GB"] : bytes >= 1e6 ? [bytes / 1e6, "MB"] : [bytes / 1e3, "kB"];
  return `${num(value, 1)} ${unit}`;
}
