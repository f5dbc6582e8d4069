// @ts-check
/** Jobs: what is trained, how far it is, and what it made. */

import { get, here, ofClass, send } from "../api.js";
import { App, link } from "../app.js";
import { fill, h, icon } from "../dom.js";
import { dateTime, num, t } from "../i18n.js";
import { ask, fault, field, into, toast } from "../widgets.js";
import { ofTaught } from "./teach-parts.js";

/** @typedef {import("../types.js").TaughtClass} TaughtClass */
/** @typedef {import("../types.js").Job} Job */

/** @typedef {"first" | "network"} Step */

/** @type {readonly Step[]} */
export const STEPS = ["first", "network"];
const TAGS = { waiting: "", running: "review", done: "ok", failed: "reject", cancelled: "" };

/**
 * A button that asks for a job, and what was wrong with it.
 * @param {TaughtClass} taught
 * @param {string} text
 * @param {() => object} job
 * @param {boolean} [main]
 * @param {"jobs" | "trials"} [kind]
 */
export function asking(taught, text, job, main = false, kind = "jobs") {
  const problem = h("div", { "aria-live": "assertive" });
  const missing = kind === "trials" ? taught.missing.trial : taught.missing.train;
  const button = h("button", { class: main ? "main" : "", disabled: missing !== null, title: missing ?? "", onclick: async () => {
    button.disabled = true;
    fill(problem);
    try {
      await send("POST", `${ofTaught(taught.name)}/${kind}`, job());
    } catch (error) {
      fill(problem, fault(error));
    }
    button.disabled = false;
  } }, text);
  return h("div", { class: "row wrap" }, problem, button);
}

/**
 * @param {App} app
 * @param {TaughtClass} taught
 * @param {Step} step
 */
export function trainPanel(app, taught, step) {
  const typed = typedOf(app, taught, step);
  const recipe = h("select", { onchange: () => { typed.recipe = recipe.value; } },
    taught.recipes.map((one) => h("option", { value: one.name, selected: one.name === typed.recipe, title: one.description }, one.name)));
  const settings = h("textarea", { rows: 2, maxlength: 4000, placeholder: "frame.size=384", spellcheck: false, value: typed.settings, oninput: () => { typed.settings = settings.value; } });
  const latest = latestOf(taught, step);
  return h("section", { class: "panel train-panel", "data-step": step }, h("header", {}, h("h2", {}, t(`teach.${step}_step`)), h("span", { class: "grow" }),
    app.may("engineer") && asking(taught, t("teach.train"), () => fitOf(app, taught, "train", step), true)),
  h("div", { class: "body stack" }, h("p", { class: "small quiet" }, t(`teach.${step}_step_text`)),
    taught.missing.train && h("div", { class: "note", lang: "en" }, h("div", {}, taught.missing.train)),
    latest && jobLine(app, latest),
    h("details", {}, h("summary", {}, t("teach.other")), h("div", { class: "stack" }, field(t("models.recipe"), recipe), field(t("teach.settings"), settings)))));
}

/**
 * What is typed into a step's fields, kept while other pages are looked at.
 * @param {App} app
 * @param {TaughtClass} taught
 * @param {Step} step
 * @returns {{ recipe: string, settings: string }}
 */
function typedOf(app, taught, step) {
  const key = `teach/${taught.name}/${step}`;
  const typed = app.kept.get(key) ?? { recipe: taught[step] ?? "", settings: "" };
  app.kept.set(key, typed);
  return typed;
}

/**
 * A job by a step's recipe and settings.
 * @param {App} app
 * @param {TaughtClass} taught
 * @param {"check" | "train"} kind
 * @param {Step} step
 */
export function fitOf(app, taught, kind, step) {
  const { recipe, settings } = typedOf(app, taught, step);
  return { kind, step, recipe, settings: settings.split("\n").map((line) => line.trim()).filter(Boolean) };
}

/**
 * Newest first, without those that belong to a lesson.
 * @param {TaughtClass} taught
 * @param {Job["kind"]} kind
 */
export function jobsOf(taught, kind) {
  return taught.jobs.filter((one) => one.kind === kind && one.asked.lesson === undefined);
}

/**
 * @param {TaughtClass} taught
 * @param {Step} step
 */
export function latestOf(taught, step) {
  return jobsOf(taught, "train").find((one) => one.asked.step === step);
}

/**
 * One job: state, stage, what it made. The page hands on what is heard of it as the event "stage".
 * @param {App} app
 * @param {Job} job
 */
export function jobLine(app, job) {
  const bar = h("progress", { max: 1, value: 0, "aria-label": t("teach.progress") });
  const stage = h("span", { class: "small quiet", lang: "en" });
  const problem = h("div", { "aria-live": "assertive" });
  const ending = job.state === "waiting" || job.state === "running";
  const show = (/** @type {Job} */ now) => {
    bar.value = now.stage ? now.stage.done / Math.max(1, now.stage.total) : 0;
    bar.hidden = !ending;
    const left = now.stage?.left_s;
    fill(stage, now.state === "waiting" && t("teach.ahead", { n: now.ahead }),
      now.stage && `${now.stage.title}: ${now.stage.done} / ${now.stage.total}`, now.stage && left != null && left > 1 && `, ${t("teach.left_s", { time: duration(left) })}`);
  };
  show(job);
  const log = h("pre", { class: "log", lang: "en", tabIndex: 0 });
  const line = h("div", { class: "job stack", "data-job": job.id },
    h("div", { class: "row wrap" }, h("span", { class: `tag ${TAGS[job.state]}` }, t(`teach.state.${job.state}`)),
      h("b", { class: "break" }, job.model ?? (job.kind === "train" ? job.recipe : t(`teach.kind.${job.kind}`))), h("span", { class: "quiet small" }, `${t("teach.job")} ${job.id}, ${dateTime(job.at)}, ${job.who}`), h("span", { class: "grow" }),
      ending && app.may("engineer") && h("button", { class: "slim", onclick: () => void send("POST", `/v1/jobs/${job.id}/cancel`).catch((error) => fill(problem, fault(error))) }, t("teach.cancel")),
      job.model !== null && job.kind !== "export" && app.may("engineer") && [serveButton(app, job), exportButton(job, problem)],
      job.model !== null && job.kind === "export" && app.may("engineer") && h("a", { class: "button slim", href: here(`/v1/jobs/${job.id}/package`), download: true }, icon("download"), t("teach.package"))),
    ending && h("div", { class: "stack" }, bar, stage), problem,
    job.error && h("div", { class: "fault", lang: "en" }, icon("invalid"), h("div", {}, job.error)),
    h("details", { ontoggle: (/** @type {Event} */ event) => {
      if (/** @type {HTMLDetailsElement} */ (event.currentTarget).open) void into(log, () => get(`/v1/jobs/${job.id}`), (/** @type {{ log: string }} */ found) => found.log || t("none"));
    } }, h("summary", {}, t("teach.log")), log));
  line.addEventListener("stage", (event) => show(/** @type {CustomEvent} */ (event).detail));
  return line;
}

/**
 * Puts what a job made in service.
 * @param {App} app
 * @param {Job} job
 */
export function serveButton(app, job) {
  return h("button", { class: "slim main", onclick: () => serve(app, job.class, job.model ?? "") }, t("teach.serve"));
}

/**
 * Asks for a package of what a job made.
 * @param {Job} job
 * @param {HTMLElement} problem where it says what went wrong
 */
export function exportButton(job, problem) {
  return h("button", { class: "slim", onclick: () => void send("POST", `${ofTaught(job.class)}/packages`, { model: job.model }).catch((error) => fill(problem, fault(error))) }, t("teach.export"));
}

/**
 * @param {App} app
 * @param {TaughtClass} taught
 */
export function jobsPanel(app, taught) {
  const shown = new Set([jobsOf(taught, "check")[0], jobsOf(taught, "trial")[0], ...STEPS.map((step) => latestOf(taught, step))].map((job) => job?.id));
  const others = taught.jobs.filter((one) => !shown.has(one.id));
  return h("section", { class: "panel" }, h("header", {}, h("h2", {}, t("teach.jobs")), h("span", { class: "grow" }),
    taught.served && h("a", { class: "button slim", href: link("models") }, t("models.title"))),
  others.length ? h("div", { class: "body stack" }, others.map((job) => jobLine(app, job))) : h("p", { class: "body quiet" }, t("teach.no_jobs")),
  taught.missing.switch && h("p", { class: "panel-text small quiet", lang: "en" }, taught.missing.switch));
}

/**
 * Loaded, tested, and into service from the next part on.
 * @param {App} app
 * @param {string} className
 * @param {string} name of the model
 */
export function serve(app, className, name) {
  const reason = h("textarea", { rows: 2, required: true, maxlength: 1000, placeholder: t("reason_hint") });
  ask({
    title: t("teach.serve"),
    act: t("teach.serve"),
    body: [h("p", {}, t("models.switch_text", { name })), field(t("reason"), reason)],
    does: async () => {
      const model = await send("POST", `${ofClass(className)}/models`, { name });
      if (model.state !== "serving") await send("POST", `/v1/models/${model.id}/switch`, { reason: reason.value.trim() });
      toast(t("models.switched", { name: model.name }));
      await app.readClasses();
      app.chooseClass(className);
      app.redraw();
    },
  });
}

/** @param {number} seconds */
function duration(seconds) {
  if (seconds < 90) return t("teach.seconds", { n: num(seconds, 0) });
  return seconds < 5400 ? t("teach.minutes", { n: num(seconds / 60, 0) }) : t("teach.hours", { n: num(seconds / 3600, 1) });
}
