// @ts-check
/** Inputs and outputs, how they are, and a button that tries each. */

import { send } from "../api.js";
import { fill, h, icon } from "../dom.js";
import { t, timeOrDate } from "../i18n.js";
import { message } from "../messages.js";
import { fault } from "../widgets.js";

/** @typedef {import("../types.js").Attached} Attached */

const TAGS = /** @type {const} */ ({ working: ["ok", "ok"], failing: ["reject", "invalid"], ended: ["", "line"] });

/** @param {import("../types.js").Administration} told */
export function attachedPanel({ inputs, outputs }) {
  if (!inputs.length && !outputs.length) return h("p", { class: "panel-text quiet" }, t("administration.no_attached"));
  return h("ul", { class: "attached" },
    inputs.map((one, place) => entry(one, "inputs", place)), outputs.map((one, place) => entry(one, "outputs", place)));
}

/**
 * @param {Attached} one
 * @param {"inputs" | "outputs"} kind
 * @param {number} place
 */
function entry(one, kind, place) {
  const [tag, sign] = TAGS[one.state];
  const result = h("div", { class: "result", "aria-live": "polite" });
  const button = h("button", { class: "slim", "aria-label": t("administration.test_of", { name: one.name }), onclick: () => void tried(`/v1/administration/${kind}/${place}/test`, button, result) }, t("administration.test"));
  return h("li", {},
    h("div", { class: "row wrap" },
      h("span", { class: `tag ${tag}` }, icon(sign), t(`administration.state.${one.state}`)),
      h("span", { class: "quiet small" }, t(`administration.${kind}`)),
      h("strong", { class: "break" }, one.name), h("code", { class: "small quiet break grow" }, one.where),
      one.waiting !== null && h("span", { class: "small" }, t("administration.waiting", { n: one.waiting })),
      one.at && h("span", { class: "small quiet" }, t("administration.last_at", { at: timeOrDate(one.at) })),
      button),
    one.fault && h("div", { class: "fault" }, icon("invalid"), h("div", {}, message(one.fault))),
    result);
}

/**
 * @param {string} path
 * @param {HTMLButtonElement} button
 * @param {HTMLElement} result
 */
async function tried(path, button, result) {
  button.disabled = true;
  fill(result, h("span", { class: "quiet small" }, t("administration.testing")));
  try {
    /** @type {{ passed: boolean, text: string }} */
    const { passed, text } = await send("POST", path);
    fill(result, h("div", { class: "row" }, h("span", { class: `tag ${passed ? "ok" : "reject"}` }, icon(passed ? "ok" : "reject"), t(passed ? "administration.passed" : "administration.failed")),
      h("span", { class: "small break" }, message(text))));
  } catch (error) {
    fill(result, fault(error));
  } finally {
    button.disabled = false;
    button.focus();
  }
}
