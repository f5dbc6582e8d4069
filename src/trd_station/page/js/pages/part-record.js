// @ts-check
/** Why a part was decided so: who set the limits, and what other versions, limits and models make of it. */

import { get, ofClass, ofPart } from "../api.js";
import { App, link } from "../app.js";
import { fill, h } from "../dom.js";
import { dateTime, editable, num, parsed, score, t } from "../i18n.js";
import { message } from "../messages.js";
import { decisionTag, fault, field, into } from "../widgets.js";

/** @typedef {import("../types.js").Inspection} Inspection */
/** @typedef {import("../types.js").Threshold} Threshold */
/** @typedef {import("../types.js").Model} Model */

/**
 * @param {App} app
 * @param {Inspection} part with a score
 */
export function recordPanel(app, part) {
  const place = h("div", { class: "body stack" });
  void into(place, () => Promise.all([
    get(`${ofClass(part.class)}/threshold/versions`, { model: part.model }),
    get("/v1/models", { class: part.class }),
  ]), ([{ versions }, { models }]) => [
    who(versions.find((/** @type {Threshold} */ one) => one.id === part.threshold)),
    h("h3", {}, t("record.versions")), versionTable(part, versions), limitField(part),
    ...modelTable(app, part, models),
  ]);
  return h("section", { class: "panel record" }, h("header", {}, h("h2", {}, t("record.title"))), place);
}

/** @param {Threshold | undefined} version */
function who(version) {
  if (!version) return null;
  return h("p", {}, h("a", { class: "strong", href: link("threshold", undefined, { model: String(version.model) }) }, t("record.version", { id: String(version.id) })),
    ` · ${t("threshold.by", { who: version.who })}, ${dateTime(version.at)}: `, version.who === "station" ? message(version.reason) : version.reason);
}

/**
 * @param {Inspection} part
 * @param {{ review_above: number, reject_above: number }} limits
 */
function decided(part, limits) {
  const value = part.score ?? 0;
  return value > limits.reject_above ? "reject" : value > limits.review_above ? "review" : "ok";
}

/**
 * @param {Inspection} part
 * @param {Threshold[]} versions
 */
function versionTable(part, versions) {
  return h("table", { class: "plain" }, h("caption", { class: "unseen" }, t("record.versions")),
    h("thead", {}, h("tr", {}, h("th", { scope: "col" }, t("history.id")), h("th", { scope: "col", class: "number" }, t("threshold.reject_above")), h("th", { scope: "col" }, t("history.decision")))),
    h("tbody", {}, versions.map((one) => h("tr", {},
      h("th", { scope: "row" }, String(one.id), one.id === part.threshold && ` (${t("record.this")})`, one.active && ` (${t("threshold.active")})`),
      h("td", { class: "number" }, num(one.reject_above, 3, 3)), h("td", {}, decisionTag(decided(part, one)))))));
}

/** @param {Inspection} part */
function limitField(part) {
  const said = h("span", { role: "status" }, decisionTag(part.decision));
  const limit = h("input", { type: "text", inputmode: "decimal", class: "narrow number", value: editable(part.reject_above, 3, 3), oninput: () => {
    const at = parsed(limit.value);
    limit.setAttribute("aria-invalid", String(!Number.isFinite(at)));
    fill(said, Number.isFinite(at) ? decisionTag(decided(part, { reject_above: at, review_above: Math.min(at, part.review_above) })) : t("threshold.no_number"));
  } });
  return h("div", { class: "row wrap ends" }, field(t("record.limit"), limit), said);
}

/**
 * @param {App} app
 * @param {Inspection} part
 * @param {Model[]} models
 */
function modelTable(app, part, models) {
  const others = models.filter((model) => model.id !== part.model && (model.state === "serving" || model.state === "ready"));
  if (!others.length || !app.may("operator") || part.pruned) return [];
  return [h("h3", {}, t("record.models")), h("ul", { class: "stack" }, others.map((model) => {
    const said = h("span", {});
    const ask = h("button", { class: "slim", onclick: async () => {
      ask.disabled = true;
      try {
        const under = await get(ofPart(part.id, "/under"), { model: model.id });
        fill(said, decisionTag(under.decision), ` ${score(under.score)} / ${score(under.reject_above)}`);
      } catch (error) {
        fill(said, fault(error));
      }
      ask.disabled = false;
    } }, t("record.score"));
    return h("li", { class: "row wrap" }, h("span", { class: "break" }, `${model.id}: ${model.name}`), ask, said);
  }))];
}
