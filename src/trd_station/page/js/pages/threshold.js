// @ts-check
/** Where the limits lie, what they promise, and what others would change. */

import { get, ofClass, send } from "../api.js";
import { App, link } from "../app.js";
import { fill, h, icon } from "../dom.js";
import { editable, num, parsed, percent, score, t } from "../i18n.js";
import { ask, decisionTag, empty, fault, field, into, judgementTag, toast } from "../widgets.js";
import { ScoreHistogram } from "./threshold-histogram.js";
import { recalibrationPanel } from "./threshold-recalibration.js";
import { versionsPanel } from "./threshold-versions.js";

/** @typedef {import("../types.js").WhatIf} WhatIf */
/** @typedef {import("../types.js").Threshold} Threshold */

const WAIT_MS = 120;
const JUDGED = /** @type {const} */ (["good", "defect", "unsure"]);
const ESTIMATES = /** @type {const} */ (["false_rejects", "false_reviews", "escapes", "missed"]);
const OUTCOMES = /** @type {const} */ (["ok", "review", "reject"]);

/** @type {import("../app.js").MakePage} */
export function thresholdPage(app, _rest, query) {
  const page = new ThresholdPage(app, Number(query.get("model")) || null);
  return { element: page.element, title: t("threshold.title"), destroy: () => page.destroy() };
}

class ThresholdPage {
  /**
   * @param {App} app
   * @param {number | null} model whose versions are asked for, which may not serve any more
   */
  constructor(app, model) {
    this.app = app;
    this.model = model;
    this.path = `${ofClass(app.className)}/threshold`;
    this.body = h("div", { class: "stack-wide" }, h("div", { class: "panel empty" }, t("loading")));
    this.element = h("div", { class: "page threshold" }, h("div", { class: "page-head" }, h("h1", {}, t("threshold.title"))), this.body);
    this.stop = new AbortController();
    this.wait = 0;
    /** Fields that hold no number. @type {Set<string>} */
    this.bad = new Set();
    this.least = h("div", { "aria-live": "polite" });
    this.ends = [app.live.on("changed", (change) => change.class === app.className && change.what !== "watch" && void this.#read())];
    void this.#read();
  }

  destroy() {
    this.stop.abort();
    clearTimeout(this.wait);
    for (const end of this.ends) end();
    this.histogram?.destroy();
  }

  async #read() {
    const { signal } = this.stop;
    try {
      /** @type {[Threshold, import("../types.js").Histogram]} */
      const [active, histogram] = await Promise.all([get(this.path, {}, signal), get(`${this.path}/histogram`, { bins: 80 }, signal)]);
      this.active = active;
      /** @type {{ review: number, reject: number } | undefined} */
      this.limits = { review: active.review_above, reject: active.reject_above };
      this.#draw(histogram);
      await this.#ask();
    } catch (error) {
      if (!signal.aborted) fill(this.body, this.model !== null && versionsPanel(this.app, this.path, () => void this.#read(), this.model), h("div", { class: "panel" }, fault(error, () => void this.#read())));
    }
  }

  /** @param {import("../types.js").Histogram} counts */
  #draw(counts) {
    this.histogram?.destroy();
    this.histogram = new ScoreHistogram(counts, () => this.limits ?? { review: 0, reject: 0 }, (name, at) => this.#move(name, at));
    // finer than the chart: limits lie among the good parts, some defects far beyond
    const range = [counts.edges[0], Math.min(counts.edges[counts.edges.length - 1], 3 * (this.active?.reject_above ?? Infinity))];
    this.controls = { reject: this.#control("reject", range), review: this.#control("review", range) };
    this.promise = { reject: h("p", { class: "promise" }), review: h("p", { class: "promise" }) };
    this.outcome = h("div", { class: "stack" });
    this.flips = h("div", {});
    const byRate = h("input", { type: "number", min: 0.1, max: 99.9, step: 0.1, placeholder: "5", class: "narrow", oninput: () => {
      const rate = Number(byRate.value) / 100;
      fill(this.least, !(rate > 0 && rate < 1) && h("p", { class: "small wrong" }, t("threshold.no_rate")));
      if (rate > 0 && rate < 1) this.#later(() => this.#ask(rate));
    } });
    this.save = h("button", { class: "main", disabled: true, onclick: () => this.#keep() }, t("threshold.save"));
    const may = this.app.may("engineer");
    const since = h("input", { type: "datetime-local", onchange: () => this.#period() });
    const until = h("input", { type: "datetime-local", onchange: () => this.#period() });
    this.dates = { since, until };
    const other = this.model !== null && this.model !== this.active?.model ? this.model : null;
    fill(this.body,
      other !== null && versionsPanel(this.app, this.path, () => void this.#read(), other),
      this.histogram.element,
      h("div", { class: "halves" },
        h("section", { class: "panel" }, h("header", {}, h("h2", {}, t("threshold.what_if")), h("span", { class: "grow" }),
          h("button", { class: "slim", onclick: () => this.#back() }, t("threshold.back"))),
        h("div", { class: "body stack-wide" },
          h("div", {}, this.controls.reject.element, this.promise.reject),
          h("div", {}, this.controls.review.element, this.promise.review),
          h("div", { class: "row wrap ends" }, field(t("threshold.by_rate"), byRate), h("span", { class: "grow" }), may ? this.save : h("p", { class: "small quiet" }, t("threshold.engineer"))), this.least,
          h("div", { class: "row wrap ends" }, field(t("history.since"), since), field(t("history.until"), until)))),
        h("section", { class: "panel", "aria-live": "polite" }, h("div", { class: "body stack-wide" }, this.outcome, this.flips))),
      h("div", { class: "halves" },
        recalibrationPanel(this.app, () => this.active?.id ?? 0, () => void this.#read()),
        h("div", { class: "stack" }, this.#estimates(), versionsPanel(this.app, this.path, () => void this.#read()))));
  }

  /**
   * @param {"review" | "reject"} name
   * @param {number[]} range
   */
  #control(name, range) {
    const step = Number(((range[1] - range[0]) / 400).toPrecision(1));
    const value = this.limits?.[name] ?? 0;
    const wrong = h("p", { class: "small wrong", role: "alert", hidden: true }, t("threshold.no_number"));
    const exact = h("input", { type: "text", inputmode: "decimal", value: editable(value, 3, 3), class: "narrow number", "aria-label": t(`threshold.${name}_above`),
      oninput: () => this.#typed(name, parsed(exact.value)), onchange: () => this.#move(name, parsed(exact.value)) });
    const slider = h("input", { type: "range", min: range[0], max: range[1], step, value, "aria-label": t(`threshold.${name}_above`), oninput: () => this.#move(name, Number(slider.value)) });
    return {
      element: h("div", { class: `limit ${name}` }, h("span", { class: "strong" }, t(`threshold.${name}_above`)), exact, slider, wrong),
      /** @param {boolean} is */
      bad: (is) => {
        wrong.hidden = !is;
        exact.setAttribute("aria-invalid", String(is));
      },
      /** @param {number} at */
      set: (at) => {
        if (document.activeElement !== exact || exact.getAttribute("aria-invalid") === "true") exact.value = editable(at, 3, 3);
        slider.value = String(at);
      },
    };
  }

  /**
   * While a field holds no number, nothing can be kept: what is kept would be another limit than the one that is read.
   * @param {"review" | "reject"} name
   * @param {number} at
   */
  #typed(name, at) {
    if (Number.isFinite(at)) this.bad.delete(name);
    else this.bad.add(name);
    this.controls?.[name].bad(this.bad.has(name));
    this.#savable();
  }

  /**
   * @param {"review" | "reject"} name
   * @param {number} at
   */
  #move(name, at) {
    if (!this.limits || !Number.isFinite(at)) return;
    fill(this.least);
    this.limits[name] = at;
    if (this.limits.review > this.limits.reject) this.limits[name === "review" ? "reject" : "review"] = at; // one pushes the other
    this.#place();
    this.#later(() => this.#ask());
  }

  #place() {
    if (!this.limits || !this.controls) return;
    for (const name of /** @type {const} */ (["review", "reject"])) {
      this.controls[name].set(this.limits[name]);
      this.controls[name].bad(false);
    }
    this.bad.clear();
    this.histogram?.redraw();
    this.#savable();
  }

  #savable() {
    const same = this.limits?.review === this.active?.review_above && this.limits?.reject === this.active?.reject_above;
    if (this.save) this.save.disabled = same || this.bad.size > 0;
  }

  /** Which parts the question is about. */
  get period() {
    const asTime = (/** @type {HTMLInputElement | undefined} */ control) => (control?.value ? new Date(control.value).toISOString() : undefined);
    return { since: asTime(this.dates?.since), until: asTime(this.dates?.until) };
  }

  #period() {
    this.#later(() => this.#ask());
  }

  #back() {
    if (!this.active) return;
    this.limits = { review: this.active.review_above, reject: this.active.reject_above };
    fill(this.least);
    this.#place();
    void this.#ask();
  }

  /** @param {() => Promise<void>} what */
  #later(what) {
    clearTimeout(this.wait);
    this.wait = window.setTimeout(() => void what(), WAIT_MS);
  }

  /** @param {number} [rate] of false rejects, from which the reject limit comes */
  async #ask(rate) {
    const { limits } = this;
    if (!limits) return;
    const number = (this.asked = (this.asked ?? 0) + 1);
    try {
      const query = rate === undefined ? { reject_above: limits.reject, review_above: limits.review, ...this.period } : { reject_rate: rate };
      /** @type {WhatIf} */
      const answer = await get(`${this.path}/what-if`, query, this.stop.signal);
      if (number !== this.asked) return; // a later question is under way
      if (rate !== undefined) {
        this.limits = { review: Math.min(limits.review, answer.reject_above), reject: answer.reject_above };
        this.#place();
        if (answer.reject_rate > rate * 1.001) fill(this.least, h("div", { class: "note" }, leastRate(rate, answer)));
        await this.#ask(); // the answer is for the review limit in force, which may be another than the one here
        return;
      }
      this.#show(answer);
    } catch (error) {
      if (!this.stop.signal.aborted && this.outcome) fill(this.outcome, fault(error));
    }
  }

  /** @param {WhatIf} answer */
  #show(answer) {
    if (!this.promise || !this.outcome || !this.flips) return;
    for (const name of /** @type {const} */ (["reject", "review"])) {
      const [before, after] = t("threshold.rate", { promise: t(`threshold.${answer.promise}`), n: answer.good_count }).split("{rate}");
      fill(this.promise[name], before, h("b", {}, percent(answer[`${name}_rate`], 2)), after);
    }
    const judged = JUDGED.some((verdict) => OUTCOMES.some((one) => answer.verdicts[verdict][one] > 0));
    if (!answer.parts && !judged) {
      fill(this.outcome, empty("threshold", t("threshold.no_parts"), t("threshold.no_parts_text")));
      fill(this.flips);
      return;
    }
    fill(this.outcome, changeTable(answer), judged && verdictTable(answer));
    fill(this.flips, judged && h("h3", {}, t("threshold.flips")),
      !judged ? h("p", { class: "small quiet" }, t("threshold.no_verdicts")) : answer.flips.length === 0 ? h("p", { class: "small quiet" }, t("threshold.no_flips")) : flipList(answer.flips),
      answer.changed.length > 0 && h("details", {}, h("summary", {}, t("threshold.changed", { n: answer.changed.length })), flipList(answer.changed)));
  }

  #keep() {
    const { active, limits } = this;
    if (!active || !limits) return;
    const reason = h("textarea", { rows: 2, required: true, maxlength: 1000, placeholder: t("reason_hint") });
    ask({
      title: t("threshold.save"),
      act: t("threshold.save"),
      body: [h("p", {}, t("threshold.save_text", { reject: num(limits.reject, 3), review: num(limits.review, 3) })), field(t("reason"), reason)],
      does: async () => {
        const made = await send("PUT", this.path, { reject_above: limits.reject, review_above: limits.review, reason: reason.value.trim(), expects: active.id });
        toast(t("threshold.saved", { id: made.id }));
        await this.#read();
      },
    });
  }

  #estimates() {
    const place = h("div", { class: "body" });
    void into(place, () => get(`${ofClass(this.app.className)}/estimates`), (all) => !ESTIMATES.some((name) => all[name].count) ? h("p", { class: "quiet" }, t("threshold.no_estimates")) : h("table", { class: "plain" },
      h("thead", {}, h("tr", {}, h("th", { scope: "col" }, h("span", { class: "unseen" }, t("watch.name"))), h("th", { class: "number", scope: "col" }, t("threshold.parts")), h("th", { class: "number", scope: "col" }, t("threshold.confidence")))),
      h("tbody", {}, ESTIMATES.map((name) => {
        /** @type {import("../types.js").Estimate} */
        const one = all[name];
        return h("tr", {}, h("th", { scope: "row" }, t(`threshold.${name}`)), h("td", { class: "number" }, one.count ? t("threshold.hits", { hits: one.hits, count: one.count }) : t("threshold.none_yet")),
          h("td", { class: "number" }, one.count ? t("threshold.interval", { low: percent(one.low), high: percent(one.high) }) : "–"));
      }))));
    return h("section", { class: "panel" }, h("header", {}, h("h2", {}, t("threshold.estimates"))), place);
  }
}

/** @param {WhatIf["flips"]} flips */
function flipList(flips) {
  return h("ul", { class: "flips" }, flips.map((flip) =>
    h("li", {}, h("a", { href: link("part", flip.id) }, flip.part), h("span", { class: "number quiet" }, score(flip.score)), judgementTag(flip.verdict),
      h("span", { class: "row" }, decisionTag(flip.from), icon("right"), decisionTag(flip.to)))));
}

/**
 * Why the limit promises more false alarms than were asked for.
 * @param {number} rate
 * @param {WhatIf} answer
 */
function leastRate(rate, answer) {
  return t("threshold.least", { n: answer.good_count, least: percent(answer.reject_rate, 2), rate: percent(rate, 2), needed: Math.ceil(1 / rate - 1e-9) - 1 });
}

/** @param {WhatIf} answer */
function changeTable(answer) {
  return h("table", { class: "plain" }, h("caption", {}, t("threshold.change", { n: answer.parts })),
    h("thead", {}, h("tr", {}, h("td", {}), OUTCOMES.map((one) => h("th", { scope: "col", class: "number" }, decisionTag(one))))),
    h("tbody", {}, /** @type {const} */ (["now", "then"]).map((when) => h("tr", {}, h("th", { scope: "row" }, t(`threshold.${when}`)),
      OUTCOMES.map((one) => h("td", { class: `number ${when === "then" && answer.now[one] !== answer.then[one] ? "strong" : ""}` }, num(answer[when][one], 0)))))));
}

/** @param {WhatIf} answer */
function verdictTable(answer) {
  return h("table", { class: "plain" }, h("caption", {}, t("threshold.verdicts")),
    h("thead", {}, h("tr", {}, h("td", {}), OUTCOMES.map((one) => h("th", { scope: "col", class: "number" }, decisionTag(one))))),
    h("tbody", {}, JUDGED.map((verdict) => h("tr", {}, h("th", { scope: "row" }, judgementTag(verdict)),
      OUTCOMES.map((one) => h("td", { class: "number" }, num(answer.verdicts[verdict][one], 0)))))));
}
