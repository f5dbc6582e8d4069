// @ts-check
/** What is measured of every part, in the page's words. */

import { num, t, word } from "./i18n.js";

/**
 * A source, modality or map, in the page's words where it has some.
 * @param {string} name
 */
export function sourceName(name) {
  const [, of] = /^(.+)_statistics$/.exec(name) ?? [];
  return of ? t("source.statistics", { name: word("source", of) }) : word("source", name);
}

/** @param {string} name as the station has it */
export function streamName(name) {
  const [kind, ...rest] = name.split(" ");
  if ((kind === "brightness" || kind === "contrast") && rest.length) return t(`stream.${kind}`, { name: sourceName(rest.join(" ")) });
  return word("stream", name);
}

const UNITS = /** @type {Record<string, string>} */ ({ m: "mm", mm: "mm", deg: "°" });

/**
 * A measure with its unit; metres are said in millimetres.
 * @param {number | null} value
 * @param {string} unit
 */
export function measured(value, unit) {
  if (value === null) return "–";
  const shown = unit === "m" ? 1000 * value : value;
  const digits = unit === "mm" ? 1 : unit === "m" || unit === "deg" ? 2 : 3;
  return `${num(shown, digits, digits)}${UNITS[unit] ? (unit === "deg" ? "" : " ") + UNITS[unit] : ""}`;
}
