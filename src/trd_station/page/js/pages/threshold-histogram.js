// @ts-check
/** How scores are spread, with both limits to take hold of. */

import uPlot from "../../vendor/uplot/uPlot.esm.js";
import { Chart, axis, chartKey, ruled } from "../charts.js";
import { h } from "../dom.js";
import { num, t } from "../i18n.js";
import { colour } from "../theme.js";

/** @typedef {{ review: number, reject: number }} Limits */

const GRIP = 12; // CSS pixels
/** @type {[keyof import("../types.js").Histogram, string, string][]} */
const SERIES = [
  ["all", "threshold.recent", "edge"],
  ["calibration", "threshold.calibration", "accent"],
  ["good", "threshold.good", "ok"],
  ["defect", "threshold.defect", "reject"],
];

export class ScoreHistogram {
  /**
   * @param {import("../types.js").Histogram} counts
   * @param {() => Limits} limits
   * @param {(name: "review" | "reject", at: number) => void} moved
   */
  constructor(counts, limits, moved) {
    this.limits = limits;
    const { edges } = counts;
    // a step is drawn from edge to edge; 0 has no place on a logarithmic axis, so it lies below the picture
    const steps = (/** @type {number[]} */ column) => [...column.map((value) => (value > 0 ? value : 0.1)), 0.1];
    const data = [edges, ...SERIES.map(([name]) => steps(counts[name]))];
    const most = Math.max(10, ...counts.all, ...counts.calibration);
    this.chart = new Chart(t("threshold.histogram_label"), 300, () => ({
      scales: { x: { time: false, range: [edges[0], edges[edges.length - 1]] }, y: { distr: 3, range: [0.7, most * 1.6] } },
      axes: [axis({ label: t("threshold.score"), size: 34 }), axis({ label: t("threshold.counts"), size: 56, splits: () => [1, 10, 100, 1000, 10000, 100000].filter((tick) => tick < most * 1.6) })],
      series: [{}, ...SERIES.map(([name, , shade]) => ({
        stroke: colour(shade), width: name === "all" ? 1 : 2, points: { show: false }, paths: /** @type {any} */ (uPlot.paths).stepped({ align: 1 }),
        fill: name === "all" ? `color-mix(in srgb, ${colour(shade)} 30%, transparent)` : undefined,
      }))],
      plugins: [ruled(() => [
        { at: limits().review, colour: "review", axis: "x" },
        { at: limits().reject, colour: "reject", axis: "x" },
      ])],
      cursor: { show: false },
    }), data);
    this.element = h("section", { class: "panel histogram" }, h("header", {}, h("h2", {}, t("threshold.histogram")), h("span", { class: "grow" }),
      chartKey([...SERIES.map(([, text, shade]) => /** @type {[string, string, "line"]} */ ([shade, t(text), "line"])),
        ["review-solid", t("threshold.review_above"), "box"], ["reject", t("threshold.reject_above"), "box"]])),
    h("div", { class: "chart-place" }, this.chart.element));
    this.#grips(moved);
  }

  destroy() {
    this.chart.destroy();
  }

  redraw() {
    this.chart.redraw();
  }

  /** @param {(name: "review" | "reject", at: number) => void} moved */
  #grips(moved) {
    const { element } = this.chart;
    /** @type {"review" | "reject" | null} */
    let held = null;
    const place = (/** @type {PointerEvent} */ event) => {
      const { plot } = this.chart;
      if (!plot) return null;
      return { plot, x: event.clientX - plot.over.getBoundingClientRect().left };
    };
    const near = (/** @type {PointerEvent} */ event) => {
      const at = place(event);
      if (!at) return null;
      const apart = (/** @type {"review" | "reject"} */ name) => Math.abs(at.plot.valToPos(this.limits()[name], "x") - at.x);
      const [first] = /** @type {const} */ (["reject", "review"]).filter((name) => apart(name) <= GRIP).sort((one, other) => apart(one) - apart(other));
      return first ?? null;
    };
    element.addEventListener("pointerdown", (event) => {
      held = near(event);
      if (held) element.setPointerCapture(event.pointerId);
    });
    element.addEventListener("pointermove", (event) => {
      element.style.cursor = held || near(event) ? "ew-resize" : "";
      const at = held && place(event);
      if (held && at) moved(held, at.plot.posToVal(at.x, "x"));
    });
    for (const name of ["pointerup", "pointercancel"]) element.addEventListener(name, () => (held = null));
  }
}
