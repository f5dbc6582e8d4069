// @ts-check
/** How many parts an hour, by decision, over the last day. */

import { get } from "./api.js";
import { Chart, axis, chartKey } from "./charts.js";
import { fill, h } from "./dom.js";
import { language, t } from "./i18n.js";
import { colour } from "./theme.js";
import { fault } from "./widgets.js";
import uPlot from "../vendor/uplot/uPlot.esm.js";

const STACK = /** @type {const} */ (["invalid", "reject", "review", "ok"]);

/**
 * @param {string} className
 * @returns {{ element: HTMLElement, destroy: () => void }}
 */
export function hourBars(className) {
  const place = h("div", { class: "chart-place" });
  const key = STACK.map((name) => /** @type {[string, string, "box"]} */ ([fillColour(name), t(`decision.${name}`), "box"])).reverse();
  const element = h("section", { class: "panel hours" }, h("header", {}, h("h2", {}, t("history.chart")), h("span", { class: "grow" }), chartKey(key)), place);
  /** @type {Chart | null} */
  let chart = null;
  let gone = false;
  get("/v1/stats", { class: className, by: "hour" }).then(({ buckets }) => {
    if (gone) return;
    // each series is the sum of those below it, drawn from the greatest to the least
    const sums = STACK.map((_, index) => buckets.map((/** @type {any} */ one) => STACK.slice(0, index + 1).reduce((sum, name) => sum + one[name], 0)));
    const data = [buckets.map((/** @type {any} */ one) => Date.parse(one.at) / 1000), ...[...sums].reverse()];
    const bars = /** @type {any} */ (uPlot.paths).bars({ size: [0.7, 40], align: 1 });
    chart = new Chart(t("history.chart"), 130, () => ({
      scales: { x: { time: true, range: (_plot, low, high) => [low ?? 0, (high ?? 0) + 3600] }, y: { range: (_plot, _low, high) => [0, Math.max(1, (high ?? 1) * 1.05)] } },
      axes: [axis({ size: 28, values: (/** @type {any} */ _plot, /** @type {number[]} */ ticks) => ticks.map(hour), grid: { show: false } }), axis({ size: 48, space: 28 })],
      series: [{}, ...[...STACK].reverse().map((name) => ({ stroke: colour(fillColour(name)), fill: colour(fillColour(name)), width: 0, paths: bars, points: { show: false } }))],
    }), data);
    fill(place, chart.element);
  }, (error) => fill(place, fault(error)));
  return { element, destroy: () => {
    gone = true;
    chart?.destroy();
  } };
}

/** @param {typeof STACK[number]} name */
function fillColour(name) {
  return name === "review" ? "review-solid" : name;
}

/** @param {number} seconds */
function hour(seconds) {
  return new Date(1000 * seconds).toLocaleTimeString(language(), { hour: "2-digit", minute: "2-digit", hour12: false });
}
