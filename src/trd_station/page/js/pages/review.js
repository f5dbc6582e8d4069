// @ts-check
/** Parts that wait for a verdict, one after the other, without leaving the keyboard. */

import { get } from "../api.js";
import { App, link } from "../app.js";
import { fill, h, icon } from "../dom.js";
import { USUAL_STRENGTH } from "../heat.js";
import { num, score, t } from "../i18n.js";
import { Looks } from "../looks.js";
import { message } from "../messages.js";
import { kinds, record } from "../verdict.js";
import { decisionTag, empty, fault, scoreBar, suggestedKind } from "../widgets.js";
import { PartViews } from "./part-views.js";

/** @typedef {import("../types.js").Inspection} Inspection */
/** @typedef {import("../types.js").Judgement} Judgement */

const AHEAD = 50;
const KINDS = 9;

/** @type {import("../app.js").MakePage} */
export function reviewPage(app) {
  const page = new Review(app);
  return { element: page.element, title: t("review.title"), destroy: () => page.destroy() };
}

class Review {
  /** @param {App} app */
  constructor(app) {
    this.app = app;
    /** @type {Inspection[]} */
    this.queue = [];
    this.at = 0;
    this.done = 0;
    /** Verdicts of this sitting, to go back to. @type {Map<number, Judgement>} */
    this.given = new Map();
    /** @type {Looks | undefined} */
    this.ahead = undefined;
    /** @type {string[]} */
    this.kinds = [];
    this.busy = false;
    this.reading = false;
    /** Whether a part to judge came while the queue was being read. */
    this.came = false;
    this.gone = false;
    this.heat = true;
    this.head = h("div", { class: "page-head" }, h("h1", {}, t("review.title")));
    this.body = h("div", { class: "review-body" }, h("div", { class: "panel empty" }, t("loading")));
    this.problem = h("div", { "aria-live": "assertive" });
    this.element = h("div", { class: "page full review" }, this.head, this.problem, this.body);
    this.keys = (/** @type {KeyboardEvent} */ event) => this.#key(event);
    document.addEventListener("keydown", this.keys);
    this.ends = [
      app.live.on("inspection", (part) => part.queue && this.#more()),
      app.live.on("verdict", (verdict) => this.#heard(verdict)),
      app.live.on("connection", (state) => state === "open" && this.#more()),
    ];
    void this.#read();
  }

  destroy() {
    this.gone = true;
    for (const end of this.ends) end();
    document.removeEventListener("keydown", this.keys);
    this.views?.destroy();
    this.ahead?.destroy();
  }

  /** Something may wait now; where a part is shown, the queue is read again after the last one anyway. */
  #more() {
    this.came = true;
    if (!this.part) void this.#read();
  }

  async #read() {
    if (this.reading) return;
    this.reading = true;
    try {
      let waiting, used;
      do {
        this.came = false;
        const today = new Date(new Date().setHours(0, 0, 0, 0)).toISOString(); // here, not at midnight UTC
        [waiting, used] = await Promise.all([get("/v1/review", { class: this.app.className, limit: AHEAD, today }), kinds(this.app.className)]);
        if (this.gone) return;
      } while (this.came && !waiting.inspections.length); // the answer may be older than what came
      this.queue = waiting.inspections;
      this.open = waiting.open;
      this.done = waiting.done_today;
      this.kinds = used.slice(0, KINDS);
      this.at = 0;
      fill(this.problem);
      this.#draw();
    } catch (error) {
      if (!this.gone) fill(this.body, h("div", { class: "panel" }, fault(error, () => void this.#read())));
    } finally {
      this.reading = false;
    }
  }

  /**
   * A verdict from elsewhere takes its part from the queue. The part that is shown stays: a key that was meant for it
   * would judge the one in its place.
   * @param {import("../types.js").Verdict} verdict
   */
  #heard(verdict) {
    const index = this.queue.findIndex((one) => one.id === verdict.inspection);
    const part = this.queue[index];
    if (!part || this.given.has(part.id) || (index === this.at && this.busy)) return; // from here, mostly
    this.#count(part);
    if (index === this.at) {
      this.given.set(part.id, verdict.verdict);
      fill(this.problem, h("p", { class: "note" }, t("review.elsewhere", { who: verdict.who, verdict: t(`verdict.${verdict.verdict}`) })));
    } else {
      this.queue.splice(index, 1);
      if (index < this.at) this.at -= 1;
    }
    this.#drawHead();
  }

  /** @param {Inspection} part that has its first verdict */
  #count(part) {
    this.done += 1;
    if (this.open && part.queue) this.open[part.queue] = Math.max(0, this.open[part.queue] - 1);
  }

  /** @returns {Inspection | undefined} */
  get part() {
    return this.queue[this.at];
  }

  #draw() {
    this.views?.destroy();
    this.views = undefined;
    const { part } = this;
    if (!part) {
      this.#drawHead();
      fill(this.body, h("div", { class: "panel" }, empty("ok", t("review.empty"), t("review.empty_text"))));
      return;
    }
    const views = new PartViews(part);
    this.views = views;
    if (!this.heat) views.look({ strength: 0 });
    this.ahead?.destroy();
    const next = this.queue[this.at + 1];
    if (next) void views.threeShown.then(() => !views.gone && this.#fetchAhead(next));
    this.brush = false;
    this.#drawHead();
    fill(this.body, views.element, this.#side(part));
    if (this.newKind) this.newKind.value = "";
  }

  /**
   * Has the browser keep what the next part needs, so that it is there at once.
   * @param {Inspection} part
   */
  #fetchAhead(part) {
    const looks = new Looks(part);
    this.ahead = looks;
    const wanted = [...part.images.map((name) => looks.image(name)), ...(part.maps.includes("fused") ? [looks.map("fused")] : []), ...(part.has_cloud ? [looks.cloud()] : [])];
    for (const one of wanted) one.catch(() => {}); // said where the part is shown
  }

  #drawHead() {
    const { part } = this;
    fill(this.head, h("h1", {}, t("review.title")),
      part && h("a", { class: "strong break", href: link("part", part.id) }, part.part), part && decisionTag(part.decision),
      part?.why && h("span", { class: "quiet" }, t("review.why"), " ", t(`review.why.${part.why}`)),
      this.brush && h("span", { class: "tag marking", role: "status" }, icon("brush"), t("review.brushing")),
      h("span", { class: "grow" }),
      this.open && h("span", { class: "quiet" }, t("review.open", { ...this.open, all: this.open.review + this.open.audit })),
      h("span", { class: "tag ok" }, icon("ok"), t("review.done", { n: this.done })));
  }

  /** @param {Inspection} part */
  #side(part) {
    const given = this.given.get(part.id);
    const may = this.app.may("operator");
    const judge = (/** @type {Judgement} */ verdict, /** @type {string} */ key) =>
      h("button", { class: `judge ${verdict}`, disabled: !may, "aria-pressed": String(given === verdict), onclick: () => void this.#judge(verdict) }, h("kbd", {}, key), t(`verdict.${verdict}`));
    this.newKind = h("input", { type: "text", maxlength: 60, "aria-label": t("review.new_kind"), placeholder: t("review.new_kind"), disabled: !may, onkeydown: (/** @type {KeyboardEvent} */ event) => {
      const name = this.newKind?.value.trim();
      if (event.key === "Enter" && name) void this.#judge("defect", name);
      if (event.key === "Escape") this.newKind?.blur();
    } });
    const other = (/** @type {string} */ key, /** @type {string} */ text, /** @type {() => void} */ act, /** @type {boolean} */ pressed) =>
      h("button", { class: "bare key", onclick: act, "aria-pressed": pressed === undefined ? null : String(pressed) }, h("kbd", {}, key), t(text));
    this.heatKey = other("H", "review.key.heat", () => this.#toggleHeat(), this.heat);
    this.brushKey = other("B", "review.key.brush", () => this.#toggleBrush(), false);
    return h("aside", { class: "part-side", "aria-label": t("details") },
      h("section", { class: "panel" }, h("div", { class: "body stack" },
        h("div", { class: "big-score" }, h("span", { class: "quiet" }, t("part.score")), h("span", { class: "quiet" }, t("part.p_value")), h("b", {}, score(part.score)), h("b", {}, num(part.p_value, 3))),
        scoreBar(part), suggestedKind(part),
        part.notes.length > 0 && h("ul", { class: "stack small" }, part.notes.map((note) => h("li", { class: "note" }, h("div", {}, message(note))))))),
      h("section", { class: "panel" }, h("div", { class: "body stack" },
        h("div", { class: "judges tall" }, judge("good", "G"), judge("defect", "D"), judge("unsure", "U")),
        this.kinds.length > 0 && h("div", { class: "kinds" }, this.kinds.map((kind, index) =>
          h("button", { class: "key", disabled: !may, title: t("review.key.kind"), onclick: () => void this.#judge("defect", kind) }, h("kbd", {}, String(index + 1)), kind))),
        h("label", { class: "row" }, h("kbd", {}, "N"), this.newKind),
        !may && h("p", { class: "small quiet" }, t("part.viewer_only")))),
      h("section", { class: "panel keys", "aria-label": t("review.keys") }, h("div", { class: "body" },
        other("→", "review.key.skip", () => this.#move(1)), other("←", "review.key.back", () => this.#move(-1)),
        this.heatKey, this.brushKey)));
  }

  /**
   * @param {Judgement} verdict
   * @param {string} [kind]
   */
  async #judge(verdict, kind) {
    const { part, views } = this;
    if (!part || !views || this.busy || this.reading || !this.app.may("operator")) return;
    this.busy = true;
    try {
      await record(part.id, { verdict, kind, mask: await views.brush.png() });
      if (this.gone) return;
      if (!this.given.has(part.id)) this.#count(part);
      this.given.set(part.id, verdict);
      if (kind && !this.kinds.includes(kind) && this.kinds.length < KINDS) this.kinds.push(kind);
      if (this.at + 1 >= this.queue.length) await this.#read();
      else this.#go(1);
    } catch (error) {
      fill(this.problem, fault(error));
    } finally {
      this.busy = false;
    }
  }

  /**
   * Not while a verdict is on its way: it goes on by itself, and the part after would be passed over unseen.
   * @param {number} steps
   */
  #move(steps) {
    if (!this.busy) this.#go(steps);
  }

  /** @param {number} steps */
  #go(steps) {
    const at = this.at + steps;
    if (this.part && this.given.has(this.part.id) && at >= this.queue.length) void this.#read(); // the last one, judged elsewhere
    if (at < 0 || at >= this.queue.length) return;
    this.at = at;
    fill(this.problem);
    this.#draw();
  }

  #toggleHeat() {
    this.heat = !this.heat;
    this.heatKey?.setAttribute("aria-pressed", String(this.heat));
    this.views?.look({ strength: this.heat ? USUAL_STRENGTH : 0 });
  }

  #toggleBrush() {
    this.brush = !this.brush;
    this.brushKey?.setAttribute("aria-pressed", String(this.brush));
    this.views?.paint(this.brush);
    this.#drawHead();
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || /INPUT|TEXTAREA|SELECT/.test(/** @type {Element} */ (event.target).tagName)) return;
    if (document.querySelector("dialog[open]")) return;
    const acts = /** @type {Record<string, () => void>} */ ({
      g: () => void this.#judge("good"),
      d: () => void this.#judge("defect"),
      u: () => void this.#judge("unsure"),
      h: () => this.#toggleHeat(),
      b: () => this.#toggleBrush(),
      n: () => this.newKind?.focus(),
      arrowright: () => this.#move(1),
      arrowleft: () => this.#move(-1),
    });
    const key = event.key.toLowerCase();
    const kind = /^[1-9]$/.test(key) ? this.kinds[Number(key) - 1] : undefined;
    if (!acts[key] && !kind) return;
    event.preventDefault();
    if (event.repeat) return; // a key that is held would judge part after part unseen
    if (kind) void this.#judge("defect", kind);
    else acts[key]();
  }
}
