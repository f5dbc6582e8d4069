// @ts-check
/** New limits from parts that were drawn at random and found good. */

import { get, ofClass, send } from "../api.js";
import { App } from "../app.js";
import { fill, h } from "../dom.js";
import { num, percent, t } from "../i18n.js";
import { message } from "../messages.js";
import { ask, decisionTag, field, into, toast } from "../widgets.js";

/**
 * @param {App} app
 * @param {() => number} expects the version in force
 * @param {() => void} changed
 */
export function recalibrationPanel(app, expects, changed) {
  const path = `${ofClass(app.className)}/recalibration`;
  const active = app.partClass?.threshold;
  const rate = (/** @type {number | undefined} */ value, /** @type {number} */ usual) =>
    h("input", { type: "number", min: 0.1, max: 100, step: "any", required: true, class: "narrow", value: Number((100 * (value ?? usual)).toFixed(2)) });
  const reject = rate(active?.reject_rate, 0.05);
  const review = rate(active?.review_rate, 0.1);
  const training = h("input", { type: "checkbox" });
  const result = h("div", { "aria-live": "polite" });
  const wanted = () => ({ reject_rate: Number(reject.value) / 100, review_rate: Number(review.value) / 100, with_training: training.checked });
  // a preview goes when a field is changed, and what is put in force is what was asked for it
  const form = h("form", { class: "body stack", oninput: () => fill(result), onsubmit: (/** @type {Event} */ event) => {
    event.preventDefault();
    const asked = wanted();
    void into(result, () => get(path, asked), (found) => preview(found, asked));
  } },
  h("p", { class: "small quiet" }, t("threshold.recalibrate_text")),
  h("div", { class: "row wrap ends" }, field(t("threshold.reject_rate"), reject), field(t("threshold.review_rate"), review), h("button", { type: "submit" }, t("threshold.preview"))),
  h("label", { class: "check" }, training, t("threshold.with_training")), result);

  /**
   * @param {import("../types.js").Recalibration} found
   * @param {ReturnType<typeof wanted>} asked
   */
  function preview(found, asked) {
    const { proposal } = found;
    return h("div", { class: "stack result" },
      h("dl", { class: "facts" }, h("dt", {}, t("threshold.usable")), h("dd", { class: "strong" }, num(found.usable, 0)),
        found.enough_for_rate !== null && h("dt", {}, t("threshold.least_rate")), found.enough_for_rate !== null && h("dd", {}, percent(found.enough_for_rate, 2)),
        proposal && h("dt", {}, t("threshold.reject_above")), proposal && h("dd", {}, `${num(proposal.reject_above, 3)} (${percent(proposal.reject_rate, 2)})`),
        proposal && h("dt", {}, t("threshold.review_above")), proposal && h("dd", {}, `${num(proposal.review_above, 3)} (${percent(proposal.review_rate, 2)})`)),
      h("p", { class: "small quiet" }, t("threshold.refused", found.refused)),
      found.note && h("div", { class: "note" }, h("div", {}, message(found.note))),
      proposal && h("div", { class: "row wrap small" }, /** @type {const} */ (["ok", "review", "reject"]).map((one) =>
        h("span", { class: "row" }, decisionTag(one), `${num(proposal.now[one], 0)} → ${num(proposal.then[one], 0)}`))),
      proposal && app.may("engineer") && h("button", { class: "main", type: "button", onclick: () => keep(asked) }, t("threshold.apply")));
  }

  /** @param {ReturnType<typeof wanted>} asked */
  function keep(asked) {
    const reason = h("textarea", { rows: 2, required: true, maxlength: 1000, placeholder: t("reason_hint") });
    ask({
      title: t("threshold.recalibrate"),
      act: t("threshold.apply"),
      body: [field(t("reason"), reason)],
      does: async () => {
        const made = await send("POST", path, { ...asked, since: null, reason: reason.value.trim(), expects: expects() });
        toast(t("threshold.recalibrated", { id: made.id }));
        fill(result);
        changed();
      },
    });
  }

  return h("section", { class: "panel recalibration" }, h("header", {}, h("h2", {}, t("threshold.recalibrate"))), form);
}
