// @ts-check
/** Lessons from verdicts: what the next one would be made of, and those that there were. */

import { get, ofClass, send } from "../api.js";
import { App } from "../app.js";
import { fill, h } from "../dom.js";
import { t } from "../i18n.js";
import { fault, into } from "../widgets.js";
import { LessonOffer } from "./models-lesson-offer.js";
import { lessonView } from "./models-lesson.js";
import { ofTaught } from "./teach-parts.js";

/** @typedef {import("../types.js").Job} Job */

const REST_MS = 800; // verdicts of a held key come faster than anybody looks

export class LessonsPanel {
  /** @param {App} app */
  constructor(app) {
    this.app = app;
    this.ready = false;
    this.offer = new LessonOffer(app, (ready) => {
      this.ready = ready;
      this.start.disabled = !ready;
    });
    /** @type {Map<number, string>} */
    this.states = new Map();
    this.timer = 0;
    this.problem = h("div", { "aria-live": "assertive" });
    this.start = h("button", { class: "main", disabled: true, hidden: !app.may("engineer"), onclick: () => void this.#teach() }, t("lessons.teach"));
    this.offered = h("div", { class: "stack" });
    this.list = h("div", { class: "stack" });
    this.element = h("section", { class: "panel lessons-panel" }, h("header", {}, h("h2", {}, t("lessons.title")), h("span", { class: "grow" }), this.start),
      h("div", { class: "body stack" }, this.problem, h("p", { class: "small quiet" }, t("lessons.text")), this.offered, this.list));
    this.ends = [
      app.live.on("job", (job) => this.#heard(job)),
      app.live.on("changed", (change) => change.what === "model" && this.read()),
      app.live.on("verdict", () => this.#soon()),
      app.live.on("connection", (state) => state === "open" && this.read()),
    ];
    this.read();
  }

  destroy() {
    clearTimeout(this.timer);
    for (const end of this.ends) end();
  }

  read() {
    this.element.hidden = !this.app.partClass?.model;
    if (this.element.hidden) return;
    this.#readOffer();
    this.#readList();
  }

  #soon() {
    clearTimeout(this.timer);
    this.timer = window.setTimeout(() => {
      this.#readOffer();
      if (!this.list.querySelector("details[open]")) this.#readList(); // what somebody reads stays open
    }, REST_MS);
  }

  #readOffer() {
    void into(this.offered, () => get(`${ofClass(this.app.className)}/lessons/proposal`), (proposal) => this.offer.view(proposal));
  }

  #readList() {
    const { className } = this.app;
    void into(this.list, () => Promise.all([get(`${ofClass(className)}/lessons`), get(`${ofTaught(className)}/jobs`)]), ([{ lessons }, { jobs }]) => {
      this.states = new Map(jobs.map((/** @type {Job} */ job) => [job.id, job.state]));
      return lessons.length ? lessons.map((/** @type {import("../types.js").Lesson} */ lesson, /** @type {number} */ index) => lessonView(this.app, lesson, jobs, index === 0 ? (sure) => void this.#teach(sure) : null)) : [h("p", { class: "small quiet" }, t("lessons.none"))];
    });
  }

  /** @param {Job} job */
  #heard(job) {
    if (job.class !== this.app.className) return;
    const place = this.element.querySelector(`[data-job="${job.id}"]`);
    if (place && this.states.get(job.id) === job.state) place.dispatchEvent(new CustomEvent("stage", { detail: job }));
    else if (job.kind === "lesson" || job.kind === "trial") this.#readList();
  }

  /**
   * @param {number[]} [sure] inspections of good parts that look like defects and that somebody has looked at
   */
  async #teach(sure) {
    this.start.disabled = true;
    fill(this.problem);
    try {
      await send("POST", `${ofClass(this.app.className)}/lessons`, sure ? { ...this.offer.body, good: true, sure } : this.offer.body);
    } catch (error) {
      fill(this.problem, fault(error));
    }
    this.start.disabled = !this.ready;
  }
}
