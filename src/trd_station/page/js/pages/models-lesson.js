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

const TAGS = { waiting: "", running: "review", failed: "reject", cancelled: "", refused: "reject", taught: "review", serving: "ok", taken_back: "", replaced: "" };
const ENDED = ["done", "failed", "cancelled"];

/** @param {import("../types.js").LessonKind} kind */
export function kindText(kind) {
  return t("lessons.kind", { name: kind.kind ?? t("lessons.no_kind"), n: kind.parts, marked: kind.marked });
}

/**
 * @param {App} app
 * @param {Lesson} lesson
 * @param {Job[]} jobs of the class, newest first
 */
export function lessonView(app, lesson, jobs) {
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
    h("p", { class: "small quiet" }, t("lessons.asked", { at: dateTime(job.at), who: job.who, name: lesson.learner }), "; ", lesson.kinds.map(kindText).join("; ")),
    job.state !== "done" && jobLine(app, job),
    lesson.service && h("p", { class: "small" }, served(lesson.service)),
    lesson.judgement && judged(lesson.judgement),
    lesson.unseen.length > 0 && h("div", { class: "note" }, h("div", {}, t("lessons.unseen", { n: lesson.unseen.length }), " ",
      lesson.unseen.map((part, index) => [index > 0 && ", ", h("a", { href: link("part", part.id) }, part.part)]).flat())),
    trial && tried(app, trial),
    lesson.gain && gainView(app, lesson, jobs, act),
    verdicts(job.id));
}

/** @param {NonNullable<Lesson["service"]>} service */
function served(service) {
  return service.until ? t("lessons.ended", { at: dateTime(service.until), who: service.who ?? "–", reason: service.reason ?? "–" }) : t("lessons.since", { at: dateTime(service.since) });
}

/** @param {NonNullable<Lesson["judgement"]>} judgement */
function judged(judgement) {
  const { before, after, gain } = judgement;
  const of = (/** @type {number} */ count) => `${num(count, 0)} / ${num(judgement.defects, 0)}`;
  return h("div", { class: "stack" },
    judgement.reasons.length > 0 && h("div", { class: "note" }, h("div", {}, t("lessons.refused_text"), h("ul", {}, judgement.reasons.map((reason) => h("li", {}, message(reason)))))),
    h("div", { class: "table-panel" }, h("table", { class: "plain" },
      h("thead", {}, h("tr", {}, h("th", { scope: "col" }, t("lessons.judged", { n: judgement.defects })), h("th", { scope: "col", class: "number" }, t("lessons.before")), h("th", { scope: "col", class: "number" }, t("lessons.after")))),
      h("tbody", {},
        row(t("lessons.auroc", { n: judgement.good }), num(before.auroc, 3, 3), num(after.auroc, 3, 3)),
        row(t("lessons.detected"), of(before.detected), of(after.detected)),
        row(t("lessons.gain"), "", `${signed(gain.value, 2)} (${t("watch.range", { low: signed(gain.low, 2), high: signed(gain.high, 2) })})`),
        Object.entries(judgement.unlabelled).map(([kind, change]) => row(t("lessons.unlabelled", { kind }), "", signed(change, 3)))))));
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

/** @param {number} number of the lesson */
function verdicts(number) {
  const place = h("div", { class: "table-panel" });
  return h("details", { ontoggle: (/** @type {Event} */ event) => {
    if (/** @type {HTMLDetailsElement} */ (event.currentTarget).open) void into(place, () => get(`/v1/lessons/${number}`), (/** @type {{ parts: import("../types.js").LessonPart[] }} */ { parts }) => h("table", { class: "plain" },
      h("thead", {}, h("tr", {}, ["lessons.part", "lessons.kind_head", "lessons.verdict", "lessons.digest", "lessons.place"].map((key, index) => h("th", { scope: "col", class: ["", "", "", "digest", "number"][index] }, t(key))))),
      h("tbody", {}, parts.map((part) => h("tr", {}, h("th", { scope: "row" }, h("a", { href: link("part", part.inspection) }, part.part)),
        h("td", {}, `${part.kind ?? t("lessons.no_kind")}, ${t(part.marked ? "lessons.marked" : "lessons.not_marked")}`), h("td", {}, `${part.verdict}, ${part.who}`),
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
