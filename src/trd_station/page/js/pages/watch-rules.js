// @ts-check
/** When alarms are raised: shown to all, set by an engineer. */

import { get, ofClass, send } from "../api.js";
import { App } from "../app.js";
import { h } from "../dom.js";
import { editable, parsed, t } from "../i18n.js";
import { factorOf } from "../streams.js";
import { ask, field, into, toast } from "../widgets.js";

const OF_CLASS = ["rejects_in_row", "reject_rate", "reject_window", "invalid_in_row"];
const LOUD = ["drift", "lesson"]; // else these are warnings
const OF_STATION = ["output_dead_s", "disk_free_gb"];

/** @param {App} app */
export function rulesPanel(app) {
  const path = `${ofClass(app.className)}/alarm-rules`;
  const place = h("div", { class: "body" });
  const read = () => void into(place, () => Promise.all([get(path), get("/v1/alarm-rules")]), ([own, all]) => draw(own, all));

  /**
   * @param {Record<string, any>} own
   * @param {Record<string, any>} all
   */
  function draw(own, all) {
    const rules = { ...own, ...all };
    const fields = new Map([...OF_CLASS, ...OF_STATION].map((name) => /** @type {const} */ ([name, control(rules[name] * factorOf(name))])));
    const boxes = LOUD.map((name) => /** @type {const} */ ([name, h("input", { type: "checkbox", checked: own[name], disabled: !app.may("engineer") })]));
    const loud = () => Object.fromEntries(boxes.map(([name, box]) => [name, box.checked]).filter(([name, value]) => value !== own[/** @type {string} */ (name)]));
    const part = (/** @type {string[]} */ names) => names.map((name) => field(t(`rule.${name}`), /** @type {HTMLElement} */ (fields.get(name))));
    const changed = (/** @type {string[]} */ names) => Object.fromEntries(names.map((name) => [name, parsed(fields.get(name)?.value ?? "") / factorOf(name)]).filter(([name, value]) => value !== rules[name]));
    return h("form", { class: "stack", onsubmit: (/** @type {Event} */ event) => {
      event.preventDefault();
      keep({ ...changed(OF_CLASS), ...loud() }, changed(OF_STATION));
    } },
    h("div", { class: "rules" }, part(OF_CLASS)),
    h("div", { class: "row wrap" }, boxes.map(([name, box]) => h("label", { class: "check" }, box, t(`rule.${name}`)))),
    h("div", { class: "rules" }, part(OF_STATION)),
    h("div", { class: "row wrap" }, h("p", { class: "small quiet grow" }, t("rule.off")), app.may("engineer") && h("button", { type: "submit" }, t("rule.keep"))));
  }

  /** @param {number} value */
  function control(value) {
    return h("input", { type: "text", inputmode: "decimal", class: "narrow number", required: true, pattern: "\\d+([.,]\\d+)?", value: editable(value), disabled: !app.may("engineer") });
  }

  /**
   * What did not change is not sent: each message is an event.
   * @param {Record<string, number | boolean>} own
   * @param {Record<string, number>} all
   */
  function keep(own, all) {
    const reason = h("textarea", { rows: 2, required: true, maxlength: 1000, placeholder: t("reason_hint") });
    ask({
      title: t("rule.title"),
      act: t("rule.keep"),
      body: [field(t("reason"), reason)],
      does: async () => {
        const why = reason.value.trim();
        if (Object.keys(own).length) await send("PUT", path, { ...own, reason: why });
        if (Object.keys(all).length) await send("PUT", "/v1/alarm-rules", { ...all, reason: why });
        toast(t("rule.kept"));
        read();
      },
    });
  }

  read();
  return h("section", { class: "panel" }, h("header", {}, h("h2", {}, t("rule.title"))), place);
}
