// @ts-check
/** What is measured of every part, in the page's words. */

import { NOTHING, num, t, word } from "./i18n.js";

/**
 * A source, modality or map, in the page's words where it has some.
 * @param {string} name `VIEW/NAME` of a part of several views
 * @returns {string}
 */
export function sourceName(name) {
  const [, view, seen] = /^(.+)\/(.+)$/.exec(name) ?? [];
  if (view) return `${sourceName(seen)} (${view})`;
  const [, of, evidence] = /^(.+)_(bank|statistics)$/.exec(name) ?? [];
  return of ? t(`source.${evidence}`, { name: word("source", of) }) : word("source", name);
}

/** @param {string} name as the station has it */
export function streamName(name) {
  const [kind, ...rest] = name.split(" ");
  if ((kind === "brightness" || kind === "contrast") && rest.length) return t(`stream.${kind}`, { name: sourceName(rest.join(" ")) });
  const own = word("stream", name);
  return own === name && rest.length ? `${word("stream", kind)} (${rest.join(" ")})` : own; // of one view
}

/** Of measures and alarm rules; "share" of a whole is told in percent. */
const UNITS = /** @type {Record<string, string>} */ ({ plane: "m", tilt: "deg", part_mm: "mm", part_x_mm: "mm", part_y_mm: "mm", measured: "share", brightness: "share", contrast: "share", reject_rate: "share" });
const SHOWN = /** @type {Record<string, { unit: string, factor: number, digits: number }>} */ ({
  m: { unit: " mm", factor: 1000, digits: 2 },
  mm: { unit: " mm", factor: 1, digits: 1 },
  deg: { unit: " °", factor: 1, digits: 2 },
  share: { unit: " %", factor: 100, digits: 1 },
  "": { unit: "", factor: 1, digits: 2 },
});

/** The unit of a measure, also of one view, or of an alarm rule. @param {string} name as the station has it */
export function unitOf(name) {
  return UNITS[name.split(" ")[0]] ?? "";
}

/** What the station's value of that name is multiplied by where it is shown. @param {string} name */
export function factorOf(name) {
  return SHOWN[unitOf(name)].factor;
}

/**
 * A measure with its unit; metres are said in millimetres, shares in percent.
 * @param {string} name as the station has it
 * @param {number | null} value
 */
export function measureOf(name, value) {
  if (value === null) return NOTHING;
  const { unit, factor, digits } = SHOWN[unitOf(name)];
  return `${num(factor * value, digits, digits)}${unit}`;
}
