// @ts-check
/** One lesson: what the judge said, what became of it, what it brought, and the way back. */

import { get, send } from "../api.js";
import { App, link } from "../app.js";
import { fill, h } from "../dom.js";
import { dateTime, num, t } from "../i18n.js";
import { message } from "../messages.js";
import { ask, fault, field, into, toast } from "../widgets.js";
import { ofTaught } from "./teach-parts.js";
import { exportButton, jobLine, serveButton } from "./teach-train.js";
import { share, trialResult } from "./teach-trial.js";

/** @typedef {import("../types.js").Job} Job */
/** @typedef {import("../types.js").Lesson} Lesson */
/** @typedef {import("../types.js").GainComparison} GainComparison */

const TAGS = { waiting: "", running: "review", failed: "reject", cancelled: "", refused: "reject", asked: "review", taught: "review", serving: "ok", taken_back: "", replaced: "" };
const ENDED = ["done", "failed", "cancelled"];

/** @param {import("../types.js").LessonKind} kind */
export function kindText(kind) {
  return t("lessons.kind", { name: kind.kind ?? t("lessons.no_kind"), n: kind.parts, marked: kind.marked });
}

/**
 * @param {App} app
 * @param {Lesson} lesson
 * @param {Job[]} jobs of the class, newest first
 * @param {((sure: number[]) => void) | null} again teaches again, with good parts that look like defects; of the newest
 */
export function lessonView(app, lesson, jobs, again) {
  const { job, state } = lesson;
  const problem = h("div", { "aria-live": "assertive" });
  const act = (/** @type {string} */ path, /** @type {object} */ body) => void send("POST", path, body).catch((error) => fill(problem, fault(error)));
  const may = app.may("engineer");
  const made = job.model !== null;
  const trial = jobs.find((one) => one.kind === "trial" && one.asked.lesson === undefined && one.asked.models.includes(job.model));
  return h("article", { class: "lesson stack", "data-lesson": job.id },
    h("div", { class: "row wrap" }, h("span", { class: `tag ${TAGS[state]}` }, t(`lessons.state.${state}`)),
      h("h3", { class: "break" }, job.model ?? t("lessons.lesson", { number: String(job.id) })), h("span", { class: "grow" }),
      made && may && state !== "serving" && h("button", { class: "slim", onclick: () => act(`${ofTaught(job.class)}/trials`, { models: [job.model] }) }, t("lessons.try")),
      made && may && exportButton(job, problem),
      made && may && state !== "serving" && serveButton(app, job),
      may && state === "serving" && lesson.service?.before != null && h("button", { class: "slim", onclick: () => takeBack(app, job.id) }, t("lessons.take_back"))),
    problem,
    h("p", { class: "small quiet" }, t("lessons.asked", { at: dateTime(job.at), who: job.who, name: lesson.learner }), "; ", madeOf(lesson).join("; ")),
    job.state !== "done" && jobLine(app, job),
    lesson.service && h("p", { class: "small" }, served(lesson.service)),
    lesson.doubtful.length > 0 && doubtful(lesson, may ? again : null),
    lesson.good_judgement && goodJudged(lesson.good_judgement),
    named("lessons.above", lesson.above),
    lesson.judgement && judged(lesson.judgement, lesson.good_parts),
    named("lessons.unseen", lesson.unseen),
    trial && tried(app, trial),
    lesson.gain && gainView(app, lesson, jobs, act),
    verdicts(job.id));
}

/** @param {NonNullable<Lesson["service"]>} service */
function served(service) {
  return service.until ? t("lessons.ended", { at: dateTime(service.until), who: service.who ?? "–", reason: service.reason ?? "–" }) : t("lessons.since", { at: dateTime(service.since) });
}

/** @param {Lesson} lesson */
function madeOf(lesson) {
  return [...lesson.kinds.map(kindText), lesson.good_parts > 0 && t("lessons.good_parts", { n: lesson.good_parts }), lesson.judging > 0 && t("lessons.judging", { n: lesson.judging }),
    lesson.sure > 0 && t("lessons.looked", { n: lesson.sure, who: lesson.job.who })].filter((text) => text !== false);
}

/**
 * Parts to look at again, none where there are none.
 * @param {"lessons.above" | "lessons.unseen" | "lessons.doubtful"} key
 * @param {{ id: number, part: string }[]} parts
 * @param {...Node} more
 */
function named(key, parts, ...more) {
  return parts.length > 0 && h("div", { class: "note" }, h("div", {}, t(key, { n: parts.length }), " ",
    parts.map((part, index) => [index > 0 && ", ", h("a", { href: link("part", part.id) }, part.part)]).flat(), more));
}

/**
 * @param {Lesson} lesson
 * @param {((sure: number[]) => void) | null} again
 */
function doubtful(lesson, again) {
  if (!again) return named("lessons.doubtful", lesson.doubtful);
  const start = h("button", { class: "slim", disabled: true, onclick: () => again(lesson.doubtful.map((part) => part.id)) }, t("lessons.again"));
  const box = h("input", { type: "checkbox", onchange: () => (start.disabled = !box.checked) });
  return named("lessons.doubtful", lesson.doubtful, h("div", { class: "row wrap" }, h("label", { class: "check" }, box, t("lessons.sure")), start));
}

/** @param {string[]} reasons */
function refused(reasons) {
  return reasons.length > 0 && h("div", { class: "note" }, h("div", {}, t("lessons.refused_text"), h("ul", {}, reasons.map((reason) => h("li", {}, message(reason))))));
}

/**
 * @param {string} title
 * @param {Node[]} rows
 */
function beforeAndAfter(title, rows) {
  return h("div", { class: "table-panel" }, h("table", { class: "plain" },
    h("thead", {}, h("tr", {}, h("th", { scope: "col" }, title), h("th", { scope: "col", class: "number" }, t("lessons.before")), h("th", { scope: "col", class: "number" }, t("lessons.after")))),
    h("tbody", {}, rows)));
}

/**
 * @param {import("../types.js").LessonInterval} interval
 * @param {number} digits
 */
function range(interval, digits) {
  return `${signed(interval.value, digits)} (${t("watch.range", { low: signed(interval.low, digits), high: signed(interval.high, digits) })})`;
}

/** @param {import("../types.js").GoodJudgement} judgement */
function goodJudged(judgement) {
  const { before, after } = judgement;
  const of = (/** @type {number} */ count, /** @type {number} */ all) => `${num(count, 0)} / ${num(all, 0)}`;
  return h("div", { class: "stack" }, refused(judgement.reasons),
    beforeAndAfter(t("lessons.judged_good", { n: judgement.good }), [
      row(t("lessons.detected"), of(before.alarms, judgement.good), of(after.alarms, judgement.good)),
      row(t("lessons.fall"), "", range(judgement.fall, 2)),
      ...(judgement.auroc_change ? [
        row(t("lessons.defects_detected"), of(before.detected, judgement.defects), of(after.detected, judgement.defects)),
        row(t("lessons.auroc_change", { n: judgement.calibration }), "", range(judgement.auroc_change, 3)),
      ] : []),
    ]),
    !judgement.auroc_change && h("p", { class: "small quiet" }, t("lessons.unknown_defects")));
}

/**
 * @param {NonNullable<Lesson["judgement"]>} judgement
 * @param {number} good parts that were to be taken in with them
 */
function judged(judgement, good) {
  const { before, after, gain } = judgement;
  const of = (/** @type {number} */ count) => `${num(count, 0)} / ${num(judgement.defects, 0)}`;
  return h("div", { class: "stack" },
    refused(judgement.reasons),
    judgement.reasons.length > 0 && good > 0 && h("p", { class: "small" }, t("lessons.good_alone")),
    beforeAndAfter(t("lessons.judged", { n: judgement.defects }), [
      row(t("lessons.auroc", { n: judgement.good }), num(before.auroc, 3, 3), num(after.auroc, 3, 3)),
      row(t("lessons.detected"), of(before.detected), of(after.detected)),
      row(t("lessons.gain"), "", range(gain, 2)),
      ...Object.entries(judgement.unlabelled).map(([kind, change]) => row(t("lessons.unlabelled", { kind }), "", signed(change, 3))),
    ]));
}

/** @param {(string | Node)[]} cells the first one heads the row */
function row(...cells) {
  return h("tr", {}, h("th", { scope: "row" }, cells[0]), cells.slice(1).map((cell) => h("td", { class: "number" }, cell)));
}

/**
 * @param {number | null} value
 * @param {number} digits
 */
function signed(value, digits) {
  return value !== null && value > 0 ? `+${num(value, digits, digits)}` : num(value, digits, digits);
}

/**
 * @param {App} app
 * @param {Job} job
 */
function tried(app, job) {
  if (job.state !== "done") return jobLine(app, job);
  const place = h("div", { class: "stack" });
  return h("details", { class: "lesson-trial", ontoggle: (/** @type {Event} */ event) => {
    if (/** @type {HTMLDetailsElement} */ (event.currentTarget).open) void into(place, () => get(`/v1/jobs/${job.id}`), (/** @type {any} */ { result }) => trialResult(app, job.class, job.id, result));
  } }, h("summary", {}, t("lessons.trial")), place);
}

/**
 * @param {App} app
 * @param {Lesson} lesson
 * @param {Job[]} jobs
 * @param {(path: string, body: object) => void} act
 */
function gainView(app, lesson, jobs, act) {
  const gain = /** @type {NonNullable<Lesson["gain"]>} */ (lesson.gain);
  const scoring = jobs.find((job) => job.id === gain.scoring && !ENDED.includes(job.state));
  const trial = jobs.find((job) => job.id === gain.trial);
  return h("div", { class: "stack gain" },
    h("div", { class: "row wrap" }, h("h4", {}, t("gain.title")), h("span", { class: "grow" }),
      app.may("engineer") && !scoring && gain.audited > 0 && lesson.service?.before != null && h("button", { class: "slim", onclick: () => act(`/v1/lessons/${lesson.job.id}/gain`, {}) }, t("gain.score"))),
    scoring && jobLine(app, scoring),
    gain.both && compared(t("gain.both", { n: trial?.asked.parts ?? gain.audited }), gain.both),
    compared(t("gain.over_time"), gain.over_time));
}

/**
 * @param {string} title
 * @param {GainComparison} comparison
 */
function compared(title, comparison) {
  const names = /** @type {const} */ (["found", "false_alarms"]);
  return h("div", { class: "table-panel" }, h("table", { class: "plain" }, h("caption", { class: "small quiet" }, title),
    h("thead", {}, h("tr", {}, ["gain.what", "lessons.before", "lessons.after"].map((key, index) => h("th", { scope: "col", class: index ? "number" : "" }, t(key))))),
    h("tbody", {}, names.map((name) => h("tr", {}, h("th", { scope: "row" }, t(`gain.${name}`), " ", comparison.worse.includes(name) && h("span", { class: "tag reject" }, t("gain.worse"))),
      h("td", { class: "number" }, share(comparison[name].before)), h("td", { class: "number" }, share(comparison[name].lesson)))))));
}

/** @param {import("../types.js").LessonPart} part */
function useText(part) {
  if (part.use === "good") return t("lessons.good");
  return `${part.kind ?? t("lessons.no_kind")}, ${t(part.use === "judges" ? "lessons.judges" : part.marked ? "lessons.marked" : "lessons.not_marked")}`;
}

/** @param {number} number of the lesson */
function verdicts(number) {
  const place = h("div", { class: "table-panel" });
  return h("details", { ontoggle: (/** @type {Event} */ event) => {
    if (/** @type {HTMLDetailsElement} */ (event.currentTarget).open) void into(place, () => get(`/v1/lessons/${number}`), (/** @type {{ parts: import("../types.js").LessonPart[] }} */ { parts }) => h("table", { class: "plain" },
      h("thead", {}, h("tr", {}, ["lessons.part", "lessons.kind_head", "lessons.verdict", "lessons.digest", "lessons.place"].map((key, index) => h("th", { scope: "col", class: ["", "", "", "digest", "number"][index] }, t(key))))),
      h("tbody", {}, parts.map((part) => h("tr", {}, h("th", { scope: "row" }, h("a", { href: link("part", part.inspection) }, part.part)),
        h("td", {}, useText(part)), h("td", {}, `${part.verdict}, ${part.who}`),
        h("td", { class: "digest" }, h("code", { class: "small" }, part.digest)), h("td", { class: "number" }, part.places ? part.places.map((value) => num(value, 2, 2)).join(" → ") : "–"))))));
  } }, h("summary", {}, t("lessons.verdicts")), place);
}

/**
 * @param {App} app
 * @param {number} number of the lesson
 */
function takeBack(app, number) {
  const reason = h("textarea", { rows: 2, required: true, maxlength: 1000, placeholder: t("reason_hint") });
  ask({
    title: t("lessons.take_back"),
    act: t("lessons.take_back"),
    body: [h("p", {}, t("lessons.take_back_text")), field(t("reason"), reason)],
    does: async () => {
      const model = await send("POST", `/v1/lessons/${number}/take-back`, { reason: reason.value.trim() });
      toast(t("models.switched", { name: model.name }));
      await app.readClasses();
    },
  });
}
