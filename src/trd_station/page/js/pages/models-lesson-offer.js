// @ts-check
/** What the next lesson would be made of: defects, rejected good parts, or both, each to look at and to leave out. */

import { App, link } from "../app.js";
import { fill, h } from "../dom.js";
import { t } from "../i18n.js";
import { message } from "../messages.js";
import { thumbnail } from "../widgets.js";
import { kindText } from "./models-lesson.js";

/** @typedef {import("../types.js").LessonProposal} Proposal */
/** @typedef {import("../types.js").ProposedPart} Part */
/** @typedef {"defects" | "good"} Group */

export class LessonOffer {
  /**
   * @param {App} app
   * @param {(ready: boolean) => void} weighed told whether the lesson can be asked for
   */
  constructor(app, weighed) {
    this.app = app;
    this.weighed = weighed;
    /** Inspections that are not to be taught. @type {Set<number>} */
    this.leftOut = new Set();
    /** What somebody has ticked; else all that can be taught is. @type {Partial<Record<Group, boolean>>} */
    this.ticked = {};
    /** Groups whose parts are shown. @type {Set<Group>} */
    this.opened = new Set();
    /** @type {Proposal | null} */
    this.proposal = null;
  }

  /** What the next lesson is asked for with. */
  get body() {
    return { defects: this.#wants("defects"), good: this.#wants("good"), leave_out: [...this.leftOut] };
  }

  /** @param {Proposal} proposal */
  view(proposal) {
    this.proposal = proposal;
    const few = { defects: h("p", { class: "small", "aria-live": "polite" }), good: h("p", { class: "small", "aria-live": "polite" }) };
    const weigh = () => {
      const [defects, good] = [this.#wants("defects"), this.#wants("good")];
      const judges = proposal.missing === 0 && this.#chosen("defects") >= proposal.needed;
      fill(few.defects, this.#tooFew("defects") || (!defects && good && t(judges ? "lessons.defects_judge" : "lessons.nothing_judges", { n: this.#chosen("defects") })));
      fill(few.good, this.#tooFew("good"));
      this.weighed(proposal.hindrance === null && (defects || good) && !(defects && this.#lacks("defects")) && !(good && this.#lacks("good")));
    };
    const usable = this.#usable("defects");
    const unmarked = usable.filter((part) => !part.marked).length;
    const taken = this.#usable("good").length;
    weigh();
    return [
      proposal.hindrance ? note(message(proposal.hindrance)) : h("p", {}, t("lessons.learner", { name: proposal.learner })),
      this.#group("defects", few.defects, weigh, [
        usable.length > 0 && h("p", {}, t("lessons.usable", { n: usable.length }), " ", proposal.kinds.map(kindText).join("; ")),
        proposal.missing > 0 && note(t("lessons.missing", { n: proposal.missing })),
        unmarked > 0 && h("p", { class: "small quiet" }, t("lessons.unmarked", { n: unmarked })),
      ]),
      this.#group("good", few.good, weigh, [
        taken > 0 && h("p", {}, t("lessons.usable_good", { n: taken })),
        proposal.good.hindrance ? taken > 0 && note(message(proposal.good.hindrance)) : proposal.good.missing > 0 && h("p", { class: "small quiet" }, t("lessons.missing_good", { n: proposal.good.missing })),
      ]),
    ];
  }

  /** @param {Group} group */
  #of(group) {
    const proposal = /** @type {Proposal} */ (this.proposal);
    return group === "good" ? proposal.good : { ...proposal, hindrance: null };
  }

  /** @param {Group} group */
  #usable(group) {
    return this.#of(group).parts.filter((part) => part.reason === null);
  }

  /** @param {Group} group */
  #chosen(group) {
    return this.#usable(group).filter((part) => !this.leftOut.has(part.inspection.id)).length;
  }

  /** @param {Group} group */
  #lacks(group) {
    return this.#chosen(group) < this.#of(group).needed;
  }

  /** @param {Group} group */
  #can(group) {
    const { hindrance, missing } = this.#of(group);
    return this.proposal?.hindrance === null && hindrance === null && missing === 0;
  }

  /** @param {Group} group */
  #wants(group) {
    return this.proposal !== null && this.#can(group) && (this.ticked[group] ?? true);
  }

  /** @param {Group} group */
  #tooFew(group) {
    return this.#wants(group) && this.#lacks(group) && t("lessons.chosen_few", { n: this.#chosen(group), needed: this.#of(group).needed });
  }

  /**
   * @param {Group} group
   * @param {Element} few
   * @param {() => void} weigh
   * @param {any[]} about
   */
  #group(group, few, weigh, about) {
    const { parts } = this.#of(group);
    const box = h("input", { type: "checkbox", checked: this.#wants(group), disabled: !this.#can(group) || !this.app.may("engineer"), onchange: () => {
      this.ticked[group] = box.checked;
      weigh();
    } });
    return h("div", { class: "stack", "data-group": group }, h("label", { class: "check" }, box, t(`lessons.group.${group}`)), about, few,
      parts.length > 0 && h("details", { open: this.opened.has(group), ontoggle: (/** @type {Event} */ event) => {
        if (/** @type {HTMLDetailsElement} */ (event.currentTarget).open) this.opened.add(group);
        else this.opened.delete(group);
      } }, h("summary", {}, t("lessons.parts", { n: parts.length })), h("ul", { class: "lesson-parts" }, parts.map((part) => this.#part(group, part, weigh)))));
  }

  /**
   * @param {Group} group
   * @param {Part} part
   * @param {() => void} weigh called when it was left out, or taken again
   */
  #part(group, part, weigh) {
    const { inspection: { id, part: name } } = part;
    const box = h("input", { type: "checkbox", checked: !this.leftOut.has(id), "aria-label": t(group === "good" ? "lessons.take_part" : "lessons.teach_part", { part: name }), onchange: () => {
      if (box.checked) this.leftOut.delete(id);
      else this.leftOut.add(id);
      weigh();
    } });
    const marked = group === "defects" && t(part.marked ? "lessons.marked" : "lessons.not_marked");
    return h("li", { class: part.reason ? "out" : "" }, thumbnail(part.inspection, 112), h("a", { class: "break", href: link("part", id) }, name),
      h("span", { class: "small" }, group === "good" ? t("lessons.good") : part.kind ?? t("lessons.no_kind")),
      h("span", { class: "small quiet" }, part.reason ? t(`lessons.reason.${part.reason}`) : marked),
      !part.reason && this.app.may("engineer") && h("label", { class: "check small" }, box, t(group === "good" ? "lessons.take" : "lessons.use")));
  }
}

/** @param {string | Node} text */
function note(text) {
  return h("div", { class: "note" }, h("div", {}, text));
}
