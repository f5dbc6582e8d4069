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

/** Units of measures, as the watch of the station tells them. */
const MEASURED_IN = /** @type {Record<string, string>} */ ({ plane: "m", tilt: "deg", part_mm: "mm", part_x_mm: "mm", part_y_mm: "mm" });

/**
 * A measure of one part, written as the watch writes it.
 * @param {string} name as the station has it
 * @param {number} value
 */
export function measureOf(name, value) {
  return measured(value, unitOf(name, MEASURED_IN[name] ?? ""));
}

const SHARES = new Set(["measured", "brightness", "contrast"]);

/**
 * The unit of a measure; shares of a whole are told in percent.
 * @param {string} name as the station has it
 * @param {string} unit as the station has it
 */
export function unitOf(name, unit) {
  return SHARES.has(name.split(" ")[0]) ? "share" : unit;
}

/** What a unit's values are multiplied by where they are drawn. */
export const FACTORS = /** @type {Record<string, number>} */ ({ m: 1000, share: 100 });
const UNITS = /** @type {Record<string, string>} */ ({ m: "mm", mm: "mm", deg: "°", share: "%" });
const DIGITS = /** @type {Record<string, number>} */ ({ m: 2, mm: 1, deg: 2, share: 1 });

/**
 * A measure with its unit; metres are said in millimetres, shares in percent.
 * @param {number | null} value
 * @param {string} unit
 */
export function measured(value, unit) {
  if (value === null) return "–";
  const digits = DIGITS[unit] ?? 2;
  return `${num((FACTORS[unit] ?? 1) * value, digits, digits)}${UNITS[unit] ? ` ${UNITS[unit]}` : ""}`;
}
