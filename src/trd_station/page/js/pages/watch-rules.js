// @ts-check
/** When alarms are raised: shown to all, set by an engineer. */

import { get, ofClass, send } from "../api.js";
import { App } from "../app.js";
import { h } from "../dom.js";
import { editable, parsed, t } from "../i18n.js";
import { ask, field, into, toast } from "../widgets.js";

/** Name, factor between the field and the station's value. @type {[string, number][]} */
const OF_CLASS = [["rejects_in_row", 1], ["reject_rate", 100], ["reject_window", 1], ["invalid_in_row", 1]];
/** @type {[string, number][]} */
const OF_STATION = [["output_dead_s", 1], ["disk_free_gb", 1]];

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
    const fields = new Map([...OF_CLASS.map(([name, factor]) => /** @type {const} */ ([name, control(own[name] * factor)])), ...OF_STATION.map(([name, factor]) => /** @type {const} */ ([name, control(all[name] * factor)]))]);
    const drift = h("input", { type: "checkbox", checked: own.drift, disabled: !app.may("engineer") });
    const part = (/** @type {[string, number][]} */ names) => names.map(([name]) => field(t(`rule.${name}`), /** @type {HTMLElement} */ (fields.get(name))));
    const given = (/** @type {[string, number][]} */ names) => Object.fromEntries(names.map(([name, factor]) => [name, parsed(fields.get(name)?.value ?? "") / factor]));
    return h("form", { class: "stack", onsubmit: (/** @type {Event} */ event) => {
      event.preventDefault();
      keep(given(OF_CLASS), drift.checked, given(OF_STATION));
    } },
    h("div", { class: "rules" }, part(OF_CLASS)),
    h("label", { class: "check" }, drift, t("rule.drift")),
    h("div", { class: "rules" }, part(OF_STATION)),
    h("div", { class: "row wrap" }, h("p", { class: "small quiet grow" }, t("rule.off")), app.may("engineer") && h("button", { type: "submit" }, t("rule.keep"))));
  }

  /** @param {number} value */
  function control(value) {
    return h("input", { type: "text", inputmode: "decimal", class: "narrow number", required: true, pattern: "\\d+([.,]\\d+)?", value: editable(value), disabled: !app.may("engineer") });
  }

  /**
   * @param {Record<string, number>} own
   * @param {boolean} drift
   * @param {Record<string, number>} all
   */
  function keep(own, drift, all) {
    const reason = h("textarea", { rows: 2, required: true, maxlength: 1000, placeholder: t("reason_hint") });
    ask({
      title: t("rule.title"),
      act: t("rule.keep"),
      body: [field(t("reason"), reason)],
      does: async () => {
        const why = reason.value.trim();
        await send("PUT", path, { ...own, drift, reason: why });
        await send("PUT", "/v1/alarm-rules", { ...all, reason: why });
        toast(t("rule.kept"));
        read();
      },
    });
  }

  read();
  return h("section", { class: "panel" }, h("header", {}, h("h2", {}, t("rule.title"))), place);
}
