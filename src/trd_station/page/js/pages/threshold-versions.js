// @ts-check
/** The limits that were in force, newest first. */

import { get, send } from "../api.js";
import { App } from "../app.js";
import { h } from "../dom.js";
import { dateTime, num, percent, t } from "../i18n.js";
import { message } from "../messages.js";
import { ask, field, into, toast } from "../widgets.js";

/** @typedef {import("../types.js").Threshold} Threshold */

/**
 * @param {App} app
 * @param {string} path of the class's threshold
 * @param {() => void} changed
 * @param {number} [model] that does not serve
 */
export function versionsPanel(app, path, changed, model) {
  const place = h("div", { class: "table-panel" });
  void into(place, () => get(`${path}/versions`, { model }), (/** @type {{ versions: Threshold[] }} */ { versions }) => !versions.length ? h("p", { class: "panel-text quiet" }, t("threshold.no_versions")) : h("table", {},
    h("thead", {}, h("tr", {}, ["history.id", "threshold.review_above", "threshold.reject_above", "reason"].map((key, index) =>
      h("th", { scope: "col", class: index === 1 || index === 2 ? "number" : "" }, t(key))), h("th", {}, h("span", { class: "unseen" }, t("threshold.activate"))))),
    h("tbody", {}, versions.map((one) => h("tr", {},
      h("td", { class: "strong" }, String(one.id)),
      limit(one.review_above, one.review_rate), limit(one.reject_above, one.reject_rate),
      h("td", {}, h("div", { class: "break" }, one.who === "station" ? message(one.reason) : one.reason), h("div", { class: "small quiet" }, `${dateTime(one.at)}, ${t("threshold.by", { who: one.who })}, ${t(`threshold.from.${one.from}`)}`)),
      h("td", { class: "number" }, one.active && model === undefined ? h("span", { class: "tag ok" }, t("threshold.active"))
        : model === undefined && app.may("engineer") && h("button", { class: "slim", onclick: () => activate(one) }, t("threshold.activate"))))))));

  /** @param {Threshold} version */
  function activate(version) {
    const reason = h("textarea", { rows: 2, required: true, maxlength: 1000, placeholder: t("reason_hint") });
    ask({
      title: `${t("threshold.activate")}: ${version.id}`,
      act: t("threshold.activate"),
      body: [field(t("reason"), reason)],
      does: async () => {
        const made = await send("POST", `${path}/versions/${version.id}/activate`, { reason: reason.value.trim() });
        toast(t("threshold.saved", { id: made.id }));
        changed();
      },
    });
  }

  return h("section", { class: "panel" }, h("header", {}, h("h2", {}, model === undefined ? t("threshold.versions") : t("threshold.versions_of", { model: String(model) }))), place);
}

/**
 * @param {number} value
 * @param {number} rate
 */
function limit(value, rate) {
  return h("td", { class: "number" }, num(value, 3, 3), h("div", { class: "small quiet" }, percent(rate, 2)));
}
