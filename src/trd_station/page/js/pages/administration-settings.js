// @ts-check
/** Audit rate and retention, changed while the station runs. */

import { send } from "../api.js";
import { fill, h } from "../dom.js";
import { parsed, editable, t } from "../i18n.js";
import { fault, field, toast } from "../widgets.js";

/** @typedef {import("../types.js").ChangeableSettings} Settings */

const GB = 1e9;

/** @param {Settings} settings as they are now */
export function settingsPanel(settings) {
  const audit = number(100 * settings.audit_rate);
  const days = number(settings.keep_days);
  const gigabytes = number(settings.keep_bytes / GB);
  const keep = h("select", {}, /** @type {const} */ (["all", "flagged", "none"]).map((one) =>
    h("option", { value: one, selected: one === settings.keep_inputs }, t(`administration.keep.${one}`))));
  const problem = h("div", { "aria-live": "assertive" });
  const save = h("button", { class: "main", type: "submit" }, t("administration.save"));
  return h("form", { class: "stack", onsubmit: async (/** @type {Event} */ event) => {
    event.preventDefault();
    save.disabled = true;
    fill(problem);
    try {
      await send("PUT", "/v1/administration/settings", {
        audit_rate: parsed(audit.value) / 100,
        keep_inputs: keep.value,
        keep_days: parsed(days.value),
        keep_bytes: Math.round(parsed(gigabytes.value) * GB),
      });
      toast(t("administration.saved"));
    } catch (error) {
      fill(problem, fault(error));
    } finally {
      save.disabled = false;
    }
  } },
  field(t("administration.audit"), audit), field(t("administration.keep_inputs"), keep),
  field(t("administration.keep_days"), days), field(t("administration.keep_gb"), gigabytes),
  h("p", { class: "small quiet" }, t("administration.settings_text")), problem, h("div", { class: "ends" }, save));
}

/** @param {number} value */
function number(value) {
  return h("input", { inputmode: "decimal", required: true, value: editable(value, 6) });
}
