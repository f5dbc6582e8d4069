// @ts-check
/** Lessons from verdicts: what the next one would be made of, and those that there were. */

import { get, ofClass, send } from "../api.js";
import { App, link } from "../app.js";
import { fill, h } from "../dom.js";
import { t } from "../i18n.js";
import { message } from "../messages.js";
import { fault, into, thumbnail } from "../widgets.js";
import { kindText, lessonView } from "./models-lesson.js";
import { ofTaught } from "./teach-parts.js";

/** @typedef {import("../types.js").Job} Job */
/** @typedef {import("../types.js").LessonProposal} Proposal */

const REST_MS = 800; // verdicts of a held key come faster than anybody looks

export class LessonsPanel {
  /** @param {App} app */
  constructor(app) {
    this.app = app;
    /** Inspections that are not to be taught. @type {Set<number>} */
    this.leftOut = new Set();
    this.opened = false;
    /** @type {Map<number, string>} */
    this.states = new Map();
    this.timer = 0;
    this.problem = h("div", { "aria-live": "assertive" });
    this.start = h("button", { class: "main", disabled: true, hidden: !app.may("engineer"), onclick: () => void this.#teach() }, t("lessons.teach"));
    this.offer = h("div", { class: "stack" });
    this.list = h("div", { class: "stack" });
    this.element = h("section", { class: "panel lessons-panel" }, h("header", {}, h("h2", {}, t("lessons.title")), h("span", { class: "grow" }), this.start),
      h("div", { class: "body stack" }, this.problem, h("p", { class: "small quiet" }, t("lessons.text")), this.offer, this.list));
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
    void into(this.offer, () => get(`${ofClass(this.app.className)}/lessons/proposal`), (proposal) => this.#offered(proposal));
  }

  #readList() {
    const { className } = this.app;
    void into(this.list, () => Promise.all([get(`${ofClass(className)}/lessons`), get(`${ofTaught(className)}/jobs`)]), ([{ lessons }, { jobs }]) => {
      this.states = new Map(jobs.map((/** @type {Job} */ job) => [job.id, job.state]));
      return lessons.length ? lessons.map((/** @type {import("../types.js").Lesson} */ lesson) => lessonView(this.app, lesson, jobs)) : [h("p", { class: "small quiet" }, t("lessons.none"))];
    });
  }

  /** @param {Job} job */
  #heard(job) {
    if (job.class !== this.app.className) return;
    const place = this.element.querySelector(`[data-job="${job.id}"]`);
    if (place && this.states.get(job.id) === job.state) place.dispatchEvent(new CustomEvent("stage", { detail: job }));
    else if (job.kind === "lesson" || job.kind === "trial") this.#readList();
  }

  /** @param {Proposal} proposal */
  #offered(proposal) {
    const usable = proposal.parts.filter((part) => part.reason === null);
    const unmarked = usable.filter((part) => !part.marked).length;
    const few = h("p", { class: "small", "aria-live": "polite" });
    const weigh = () => {
      const chosen = usable.filter((part) => !this.leftOut.has(part.inspection.id)).length;
      const lacks = chosen < proposal.needed;
      this.start.disabled = proposal.hindrance !== null || lacks;
      fill(few, proposal.missing === 0 && lacks && t("lessons.chosen_few", { n: chosen, needed: proposal.needed }));
    };
    weigh();
    return [
      proposal.hindrance && h("div", { class: "note" }, h("div", {}, message(proposal.hindrance))),
      usable.length > 0 && h("p", {}, !proposal.hindrance && `${t("lessons.learner", { name: proposal.learner })} `, t("lessons.usable", { n: usable.length }), " ", proposal.kinds.map(kindText).join("; ")),
      proposal.missing > 0 && h("div", { class: "note" }, h("div", {}, t("lessons.missing", { n: proposal.missing }))),
      unmarked > 0 && h("p", { class: "small quiet" }, t("lessons.unmarked", { n: unmarked })),
      few,
      proposal.parts.length > 0 && h("details", { open: this.opened, ontoggle: (/** @type {Event} */ event) => {
        this.opened = /** @type {HTMLDetailsElement} */ (event.currentTarget).open;
      } }, h("summary", {}, t("lessons.parts", { n: proposal.parts.length })), h("ul", { class: "lesson-parts" }, proposal.parts.map((part) => this.#part(part, weigh)))),
    ];
  }

  /**
   * @param {Proposal["parts"][0]} part
   * @param {() => void} weigh called when it was left out, or taken again
   */
  #part(part, weigh) {
    const { inspection: { id, part: name } } = part;
    const box = h("input", { type: "checkbox", checked: !this.leftOut.has(id), "aria-label": t("lessons.teach_part", { part: name }), onchange: () => {
      if (box.checked) this.leftOut.delete(id);
      else this.leftOut.add(id);
      weigh();
    } });
    return h("li", { class: part.reason ? "out" : "" }, thumbnail(part.inspection, 112), h("a", { class: "break", href: link("part", id) }, name),
      h("span", { class: "small" }, part.kind ?? t("lessons.no_kind")),
      part.reason ? h("span", { class: "small quiet" }, t(`lessons.reason.${part.reason}`)) : h("span", { class: "small quiet" }, t(part.marked ? "lessons.marked" : "lessons.not_marked")),
      !part.reason && this.app.may("engineer") && h("label", { class: "check small" }, box, t("lessons.use")));
  }

  async #teach() {
    this.start.disabled = true;
    fill(this.problem);
    try {
      await send("POST", `${ofClass(this.app.className)}/lessons`, { leave_out: [...this.leftOut] });
    } catch (error) {
      fill(this.problem, fault(error));
    }
    this.start.disabled = false;
  }
}
