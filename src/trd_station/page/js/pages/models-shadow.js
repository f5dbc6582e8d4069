// @ts-check
/** A model beside the serving one: how often both agree, and the parts on which they do not. */

import { get, ofClass, send } from "../api.js";
import { App, link } from "../app.js";
import { fill, h } from "../dom.js";
import { dateTime, num, score, t } from "../i18n.js";
import { decisionTag, fault, judgementTag } from "../widgets.js";

/** @typedef {import("../types.js").Judgement} Judgement */
/** @typedef {Record<"both" | "serving" | "shadow" | "neither", number> & { verdict: Judgement | null }} Agreement */
/** @typedef {{ id: number, part: string, verdict: Judgement | null, score: number, decision: import("../types.js").Decision, shadow_score: number, shadow_rejects: boolean }} Flip */
/** @typedef {{ model: import("../types.js").Model, reject_above: number, scoring: boolean, since: string, until: string | null, who: string, parts: number, skipped: number, agreement: Agreement[], flips: Flip[] }} Shadow */

const COLUMNS = /** @type {const} */ (["both", "serving", "shadow", "neither"]);

/** @param {string} className */
export const shadowPath = (className) => `${ofClass(className)}/shadow`;

/**
 * @param {string} className
 * @returns {Promise<Shadow | null>}
 */
export async function readShadow(className) {
  return (await get(shadowPath(className))).shadow;
}

/**
 * @param {App} app
 * @param {Shadow | null} shadow
 * @param {() => void} changed
 */
export function shadowPanel(app, shadow, changed) {
  if (!shadow) return null;
  const { model } = shadow;
  const problem = h("div", { "aria-live": "assertive" });
  const end = () => send("DELETE", shadowPath(app.className)).then(changed, (error) => fill(problem, fault(error)));
  return h("section", { class: "panel shadow-panel" },
    h("header", {}, h("h2", { class: "break" }, t("shadow.title", { name: model.name })), h("span", { class: `tag ${shadow.scoring ? "review" : ""}` }, t(shadow.scoring ? "shadow.scoring" : "shadow.ended")),
      h("span", { class: "quiet small" }, `${dateTime(shadow.since)}, ${shadow.who}`), h("span", { class: "grow" }),
      shadow.scoring && app.may("engineer") && h("button", { class: "slim", onclick: () => void end() }, t("shadow.end"))),
    h("div", { class: "body stack" }, problem, h("p", { class: "small quiet" }, t("shadow.text"), shadow.skipped > 0 && ` ${t("shadow.skipped", { n: shadow.skipped })}`),
      h("div", { class: "table-panel" }, h("table", { class: "plain" }, h("thead", {}, h("tr", {}, h("th", { scope: "col" }, t("shadow.verdict")), COLUMNS.map((one) => h("th", { scope: "col", class: "number" }, t(`shadow.${one}`))))),
        h("tbody", {}, shadow.agreement.map((row) => h("tr", {}, h("th", { scope: "row" }, row.verdict ? judgementTag(row.verdict) : t("verdict.none")), COLUMNS.map((one) => h("td", { class: "number" }, num(row[one], 0)))))))),
      shadow.flips.length > 0 && h("h3", {}, t("shadow.flips")),
      h("ul", { class: "flips" }, shadow.flips.map((flip) => h("li", {}, h("a", { href: link("part", flip.id) }, flip.part), h("span", { class: "number" }, `${score(flip.score)} → ${score(flip.shadow_score)}`),
        judgementTag(flip.verdict), h("span", { class: "row" }, decisionTag(flip.decision), "→", decisionTag(flip.shadow_rejects ? "reject" : "ok")))))));
}
