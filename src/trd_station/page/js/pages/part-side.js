// @ts-check
/** Beside the views of a part: score, shares, cursor, display, notes, verdict, facts. */

import { here, ofPart } from "../api.js";
import { App, link } from "../app.js";
import { fill, h, icon } from "../dom.js";
import { drawRamp } from "../heat.js";
import { NOTHING, dateTime, num, percent, score, t, word } from "../i18n.js";
import { message } from "../messages.js";
import { JUDGEMENTS, kindInput, record } from "../verdict.js";
import { fault, field, judgementTag, scoreBar, suggestedKind } from "../widgets.js";
import { measureOf, sourceName, streamName } from "../streams.js";
import { recordPanel } from "./part-record.js";
import { rulerPanel } from "./part-ruler.js";
import { PartViews } from "./part-views.js";

/** @typedef {import("../types.js").Inspection} Inspection */

export class PartSide {
  /**
   * @param {App} app
   * @param {Inspection} part
   * @param {PartViews} views
   * @param {() => Promise<void>} judged
   */
  constructor(app, part, views, judged) {
    this.app = app;
    this.part = part;
    this.views = views;
    this.judged = judged;
    this.readout = h("div", {});
    this.said = h("ul", { class: "said" });
    /** The verdict whose mark is shown. @type {number | null} */
    this.marked = null;
    const seen = part.maps.length > 0 && !part.pruned;
    this.rulerPanel = seen && part.has_cloud ? rulerPanel(views) : null;
    this.element = h("aside", { class: "part-side", "aria-label": t("details") },
      part.score !== null && this.#decision(),
      part.notes.length > 0 && h("section", { class: "panel" }, h("header", {}, h("h2", {}, t("part.notes"))),
        h("ul", { class: "body stack" }, part.notes.map((note) => h("li", { class: "note" }, icon("invalid"), h("div", {}, message(note)))))),
      this.#verdict(seen),
      seen && h("section", { class: "panel" }, h("header", {}, h("h2", {}, t("part.cursor")), h("span", { class: "grow" }),
        part.peak && h("button", { class: "slim", onclick: () => views.linked.point({ row: part.peak?.[0] ?? 0, column: part.peak?.[1] ?? 0 }) }, t("part.to_peak"))),
      h("div", { class: "body" }, this.readout)),
      this.rulerPanel?.element,
      part.score !== null && recordPanel(app, part),
      seen && this.#display(),
      this.#facts());
    this.end = views.linked.listen((what) => what === "cursor" && void this.#read());
    void this.#read();
    void views.threeShown.then(() => this.#read()); // places are known from then on
    this.verdicts(part);
  }

  destroy() {
    this.end();
    this.rulerPanel?.destroy();
  }

  #decision() {
    const { part } = this;
    const shares = Object.entries(part.share ?? {}).sort((one, other) => other[1] - one[1]);
    return h("section", { class: "panel" }, h("h2", { class: "unseen" }, t("part.score")), h("div", { class: "body stack" },
      h("div", { class: "big-score" }, h("span", { class: "quiet" }, t("part.score")), h("span", { class: "quiet" }, t("part.p_value")), h("b", {}, score(part.score)), h("b", {}, num(part.p_value, 3))),
      scoreBar(part),
      h("p", { class: "small quiet" }, pText(part)),
      h("dl", { class: "facts small" },
        h("dt", {}, t("threshold.review_above")), h("dd", {}, score(part.review_above)),
        h("dt", {}, t("threshold.reject_above")), h("dd", {}, score(part.reject_above)),
        part.region && [h("dt", {}, t("part.region")), h("dd", {}, part.region)]),
      suggestedKind(part),
      shares.length > 0 && h("div", { class: "stack" }, h("h3", {}, t("part.share")),
        h("div", { class: "bars small" }, shares.flatMap(([name, value]) => [
          h("span", {}, sourceName(name)), h("span", { class: "track", "aria-hidden": "true" }, h("i", { style: { width: `${100 * value}%` } })), h("span", { class: "number" }, percent(value, 0)),
        ])))));
  }

  async #read() {
    const { cursor } = this.views.linked;
    if (!cursor) {
      fill(this.readout, h("p", { class: "quiet" }, t("part.cursor_none")));
      return;
    }
    const { part, views } = this;
    const { width } = views.looks.size;
    const values = part.maps.includes("fused") ? await views.looks.map("fused").catch(() => null) : null;
    const value = values?.[cursor.row * width + cursor.column];
    const at = views.three?.measure(cursor);
    const nowhere = views.three ? t("part.no_point") : NOTHING; // no cloud to look at yet, or never without WebGL
    const mm = (/** @type {number} */ metres) => num(1000 * metres, 1, 1);
    fill(this.readout, h("dl", { class: "facts" },
      h("dt", {}, t("part.pixel")), h("dd", { "data-cursor": `${cursor.row},${cursor.column}` }, `${cursor.row}, ${cursor.column}`),
      h("dt", {}, t("part.value")), h("dd", { class: value !== undefined && value > views.limit ? "strong" : "" }, score(value)),
      part.has_cloud && h("dt", {}, t("part.position")), part.has_cloud && h("dd", {}, at ? `${mm(at.x)}, ${mm(at.y)}, ${mm(at.z)} mm` : nowhere),
      at?.height !== null && at?.height !== undefined && h("dt", {}, t("part.height")),
      at?.height !== null && at?.height !== undefined && h("dd", {}, `${num(1000 * at.height, 2, 2)} mm`),
      await this.#apart(cursor.row * width + cursor.column)));
  }

  /** The height difference to the good part, where that is looked at. @param {number} pixel */
  async #apart(pixel) {
    const compared = await this.views.good.compared?.catch(() => null);
    const metres = compared?.values[pixel];
    if (metres === undefined || Number.isNaN(metres)) return [];
    return [h("dt", {}, t("record.difference_at")), h("dd", {}, `${num(1000 * metres, 2, 2)} mm`)];
  }

  #display() {
    const { part, views } = this;
    const limit = part.pixel_threshold ?? part.reject_above;
    const top = 2 * part.reject_above;
    const shown = h("output", { class: "number strong" }, score(limit));
    const slider = h("input", { type: "range", min: 0, max: top, step: top / 400, value: limit, "aria-label": t("part.contour"), oninput: () => {
      shown.textContent = score(Number(slider.value));
      views.look({ limit: Number(slider.value) });
    } });
    const strength = h("input", { type: "range", min: 0, max: 1, step: 0.05, value: views.strength, "aria-label": t("part.strength"), oninput: () => views.look({ strength: Number(strength.value) }) });
    const reset = h("button", { class: "slim", onclick: () => {
      slider.value = String(limit);
      slider.dispatchEvent(new Event("input"));
    } }, t("part.reset_contour"));
    return h("section", { class: "panel" }, h("header", {}, h("h2", {}, t("part.look")), h("span", { class: "grow" }),
      h("button", { class: "slim", onclick: () => views.goHome() }, icon("home"), t("part.home"))),
    h("div", { class: "body stack" },
      h("div", {}, h("div", { class: "row small" }, h("span", {}, t("part.contour")), h("span", { class: "grow" }), shown), slider, reset),
      h("div", {}, h("div", { class: "small" }, t("part.strength")), strength), legend(part)));
  }

  /** @param {boolean} seen */
  #verdict(seen) {
    const { app, part, views } = this;
    if (!app.may("operator")) {
      return h("section", { class: "panel" }, h("header", {}, h("h2", {}, t("part.verdict"))), h("div", { class: "body stack" }, this.said, h("p", { class: "small quiet" }, t("part.viewer_only"))));
    }
    const problem = h("div", { "aria-live": "assertive" });
    const { list, input: kind } = kindInput(part.class);
    const remark = h("input", { type: "text", maxlength: 1000 });
    const brush = h("button", { class: "slim", "aria-pressed": "false", onclick: () => {
      const on = brush.getAttribute("aria-pressed") !== "true";
      brush.setAttribute("aria-pressed", String(on));
      brush.classList.toggle("main", on);
      views.paint(on);
    } }, icon("brush"), t("part.brush"));
    const buttons = JUDGEMENTS.map((verdict) => h("button", { class: `judge ${verdict}`, onclick: async () => {
      for (const button of buttons) button.disabled = true;
      try {
        await record(part.id, { verdict, kind: verdict === "good" ? "" : kind.value.trim(), reason: remark.value.trim(), mask: await views.brush.png() });
        kind.value = remark.value = "";
        fill(problem);
        views.clearBrush();
        if (brush.getAttribute("aria-pressed") === "true") brush.click();
        await this.judged();
      } catch (error) {
        fill(problem, fault(error));
      } finally {
        for (const button of buttons) button.disabled = false;
      }
    } }, t(`verdict.${verdict}`)));
    return h("section", { class: "panel" }, h("header", {}, h("h2", {}, t("part.verdict")), h("span", { class: "grow" }),
      part.sampled && h("span", { class: "tag" }, t("part.sampled"))),
    h("div", { class: "body stack" }, this.said, h("div", { class: "judges" }, buttons),
      h("div", { class: "two" }, field(t("part.kind"), kind), field(t("part.comment"), remark)), list,
      seen && h("div", { class: "row" }, brush, h("button", { class: "slim bare", onclick: () => views.clearBrush() }, t("part.brush_clear"))), problem));
  }

  /** @param {Inspection} part */
  verdicts(part) {
    const those = part.verdicts ?? [];
    if (!those.length) {
      fill(this.said, h("li", { class: "quiet small" }, t("part.verdict_none")));
      return;
    }
    fill(this.said, [...those].reverse().map((one) => h("li", {}, judgementTag(one.verdict),
      h("span", { class: "break" }, [one.kind, one.reason, one.has_mask ? t("part.marked") : ""].filter(Boolean).join(" · ")),
      one.has_mask && this.#markButton(one.id),
      h("span", { class: "quiet small" }, `${one.who}, ${dateTime(one.at)}`))));
  }

  /** @param {number} verdict with a mark */
  #markButton(verdict) {
    const shown = () => String(this.marked === verdict);
    const button = h("button", { class: "slim", "aria-pressed": shown(), onclick: async () => {
      this.marked = this.marked === verdict ? null : verdict;
      for (const other of this.said.querySelectorAll("button")) other.setAttribute("aria-pressed", "false");
      button.setAttribute("aria-pressed", shown());
      await this.views.showMark(this.marked).catch((error) => button.after(fault(error)));
    } }, icon("brush"), t("record.show_mark"));
    return button;
  }

  #facts() {
    const { part } = this;
    const measures = Object.entries(part.measures ?? {});
    return h("section", { class: "panel" }, h("header", {}, h("h2", {}, t("details"))), h("dl", { class: "body facts small" },
      h("dt", {}, t("part.at")), h("dd", {}, dateTime(part.at)),
      h("dt", {}, t("part.origin")), h("dd", {}, word("origin", part.origin)),
      h("dt", {}, t("part.model")), h("dd", {}, part.model === null ? NOTHING : h("a", { href: "#/models" }, String(part.model))),
      h("dt", {}, t("part.threshold")), h("dd", {}, part.threshold === null ? NOTHING : h("a", { href: link("threshold", undefined, { model: String(part.model) }) }, String(part.threshold))),
      h("dt", {}, t("part.duration")), h("dd", {}, `${num(part.timings?.total_ms, 0)} ms`),
      measures.flatMap(([name, value]) => [h("dt", {}, streamName(name)), h("dd", {}, measureOf(name, value))]),
      !part.pruned && h("dt", {}, t("part.files")), !part.pruned && h("dd", {}, Object.keys(part.inputs ?? {}).map((source, index) => [index ? ", " : "", h("a", { href: here(ofPart(part.id, `/inputs/${encodeURIComponent(source)}`)), download: "" }, source)]).flat())));
  }
}

/** The p-value in words; where no good part reached the score it is only a bound. @param {Inspection} part */
function pText(part) {
  const n = part.good_count + 1;
  if (part.p_value !== null && part.p_value * n < 1.0001) return t("part.p_least", { n });
  return t("part.p_text", { percent: percent(part.p_value) });
}

/** The heat's colours with what they mean. @param {Inspection} part */
function legend(part) {
  const canvas = h("canvas", { class: "ramp", width: 256, height: 1, "aria-hidden": "true" });
  drawRamp(canvas);
  return h("figure", { class: "legend" }, canvas, h("figcaption", { class: "row small quiet" },
    h("span", {}, "−1"), h("span", { class: "grow" }), h("span", {}, `${t("part.limit")} ${score(part.reject_above)}`), h("span", { class: "grow" }), h("span", {}, score(2 * part.reject_above))));
}
