// @ts-check
/** Models on parts that people have judged: what each finds, false alarms, and where they disagree. */

import { get, here } from "../api.js";
import { App, link } from "../app.js";
import { h } from "../dom.js";
import { num, percent, score, t } from "../i18n.js";
import { decisionTag, into, judgementTag } from "../widgets.js";
import { asking, jobLine, jobsOf, serve } from "./teach-train.js";

/** @typedef {import("../types.js").TaughtClass} TaughtClass */
/** @typedef {import("../types.js").Estimate} Estimate */
/** @typedef {{ name: string, serves: boolean, reject_above: number, found: Estimate, false_alarms: Estimate, false_alarms_sampled: Estimate }} Tried */
/** @typedef {{ id: number, part: string, verdict: "good" | "defect", kind: string | null, scores: number[], rejected: boolean[], pictures: string[] }} Flip */
/** @typedef {{ parts: number, trained_on: number, unusable: { id: number, reason: string }[], models: Tried[], disagreements: number, flips: Flip[] }} Trial */

/**
 * @param {App} app
 * @param {TaughtClass} taught
 */
export function trialPanel(app, taught) {
  const job = jobsOf(taught, "trial")[0];
  const result = h("div", { class: "stack" });
  const models = h("div", { class: "row wrap" });
  /** @type {HTMLInputElement[]} */
  let boxes = [];
  void into(models, () => get("/v1/models", { class: taught.name }), (/** @type {{ found: { name: string }[] }} */ { found }) => {
    const trained = new Set(taught.jobs.map((one) => one.model));
    boxes = found.map(({ name }) => h("input", { type: "checkbox", value: name, checked: trained.has(name) }));
    return found.map(({ name }, index) => h("label", { class: "check" }, boxes[index], name));
  });
  if (job?.state === "done") {
    void into(result, () => get(`/v1/jobs/${job.id}`), (/** @type {{ result: Trial }} */ found) => trialResult(app, taught.name, job.id, found.result));
  }
  const chosen = () => boxes.filter((box) => box.checked).map((box) => box.value);
  return h("section", { class: "panel trial-panel" }, h("header", {}, h("h2", {}, t("teach.trial")), h("span", { class: "grow" }),
    app.may("engineer") && asking(taught, t("teach.try"), () => ({ models: chosen().slice(-4) }), false, "trials")),
  h("div", { class: "body stack" }, h("p", { class: "small quiet" }, t("teach.trial_text")),
    taught.missing.trial && h("div", { class: "note", lang: "en" }, h("div", {}, taught.missing.trial)),
    models, job && job.state !== "done" && jobLine(app, job), result));
}

/** A share with its interval. @param {Estimate} one */
export function share(one) {
  return one.count ? [h("b", {}, `${num(one.hits, 0)} / ${num(one.count, 0)}`), " ", h("span", { class: "quiet small" }, `${percent(one.low, 0)} – ${percent(one.high, 0)}`)] : ["–"];
}

/**
 * @param {App} app
 * @param {string} className
 * @param {number} number of the job
 * @param {Trial} trial
 */
export function trialResult(app, className, number, trial) {
  return [
    h("p", { class: "small quiet" }, t("teach.tried", { n: trial.parts }), trial.trained_on > 0 && ` ${t("teach.trained_on", { n: trial.trained_on })}`,
      trial.unusable.length > 0 && ` ${t("teach.refused", { n: trial.unusable.length })}`),
    h("div", { class: "table-panel" }, h("table", { class: "plain" },
      h("thead", {}, h("tr", {}, ["teach.model", "teach.found", "teach.false_alarms", "teach.false_alarms_sampled", "teach.limit"].map((key) => h("th", { scope: "col" }, t(key))), h("th", {}))),
      h("tbody", {}, trial.models.map((one) => h("tr", {}, h("th", { scope: "row" }, one.name, one.serves && h("span", { class: "tag ok" }, t("models.state.serving"))),
        h("td", {}, share(one.found)), h("td", {}, share(one.false_alarms)), h("td", {}, share(one.false_alarms_sampled)), h("td", {}, score(one.reject_above)),
        h("td", {}, !one.serves && app.may("engineer") && h("button", { class: "slim", onclick: () => serve(app, className, one.name) }, t("teach.serve")))))))),
    h("h3", {}, t("teach.disagree", { n: trial.disagreements })),
    h("ul", { class: "strangest" }, trial.flips.map((flip) => h("li", {},
      h("div", { class: "row wrap" }, h("a", { href: link("part", flip.id) }, flip.part), judgementTag(flip.verdict), flip.kind && h("span", { class: "small" }, flip.kind)),
      h("div", { class: "pictures" }, flip.pictures.map((name, index) => h("figure", {},
        h("img", { src: here(`/v1/jobs/${number}/pictures/${encodeURIComponent(name)}`), alt: `${flip.part}, ${trial.models[index].name}`, loading: "lazy" }),
        h("figcaption", { class: "small stack" }, h("span", { class: "break" }, trial.models[index].name), h("span", { class: "row" }, decisionTag(flip.rejected[index] ? "reject" : "ok"), score(flip.scores[index]))))))))),
  ];
}
