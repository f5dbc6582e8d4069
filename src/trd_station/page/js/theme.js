// @ts-check
/** Light or dark: as the system has it until someone chooses. */

const KEPT = "trd.theme";
const dark = window.matchMedia("(prefers-color-scheme: dark)");

/** @type {Set<() => void>} */
const listeners = new Set();

export function beginTheme() {
  dark.addEventListener("change", apply);
  apply();
}

/** @returns {"light" | "dark"} */
export function theme() {
  const kept = localStorage.getItem(KEPT);
  return kept === "light" || kept === "dark" ? kept : dark.matches ? "dark" : "light";
}

export function switchTheme() {
  localStorage.setItem(KEPT, theme() === "dark" ? "light" : "dark");
  apply();
}

function apply() {
  document.documentElement.dataset.theme = theme();
  for (const listener of listeners) listener();
}

/**
 * Charts are drawn, so they have to be told.
 * @param {() => void} listener
 * @returns {() => void} ends it
 */
export function onTheme(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/**
 * A colour of the style sheet.
 * @param {string} name without the dashes
 */
export function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}
