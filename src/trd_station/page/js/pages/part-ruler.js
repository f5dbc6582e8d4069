// @ts-check
/** A ruler between two points of a part, and the heights along it. */

import { Chart, axis } from "../charts.js";
import { fill, h, icon } from "../dom.js";
import { profile } from "../heights.js";
import { num, t } from "../i18n.js";
import { pointAt } from "../relief.js";
import { PartViews } from "./part-views.js";

/** @typedef {import("../linked.js").Pixel} Pixel */

/** @param {PartViews} views */
export function rulerPanel(views) {
  const place = h("div", { class: "stack" }, h("p", { class: "quiet small" }, t("ruler.how")));
  /** @type {Pixel[]} */
  let ends = [];
  /** @type {Chart | null} */
  let chart = null;
  const on = h("button", { class: "slim", "aria-pressed": "false", onclick: () => {
    const active = on.getAttribute("aria-pressed") !== "true";
    on.setAttribute("aria-pressed", String(active));
    on.classList.toggle("main", active);
    views.picking(active ? take : null);
    if (!active) clear();
  } }, icon("ruler"), t("ruler.title"));

  function clear() {
    ends = [];
    chart?.destroy();
    chart = null;
    views.ruler(null);
    fill(place, h("p", { class: "quiet small" }, t("ruler.how")));
  }

  /** @param {Pixel} pixel */
  function take(pixel) {
    if (ends.length === 2) clear();
    ends.push(pixel);
    views.ruler(ends);
    if (ends.length === 2) measure(ends[0], ends[1]);
  }

  /**
   * @param {Pixel} from
   * @param {Pixel} to
   */
  function measure(from, to) {
    const { cloud, three } = views;
    const [first, last] = [three?.measure(from), three?.measure(to)];
    if (!cloud || !first || !last) {
      fill(place, h("p", { class: "quiet small" }, t("ruler.nothing")));
      return;
    }
    const { along, heights } = profile(cloud, pointAt(cloud), from, to);
    const mm = (/** @type {number | null} */ metres) => (metres === null ? null : 1000 * metres);
    chart?.destroy();
    chart = new Chart(t("ruler.profile"), 150, () => ({
      scales: { x: { time: false } },
      axes: [axis({ label: t("ruler.along"), size: 30 }), axis({ size: 52 })],
      series: [{}, { stroke: getComputedStyle(document.documentElement).getPropertyValue("--accent"), width: 2, points: { show: false } }],
    }), [along.map(mm), heights.map(mm)]);
    const distance = Math.hypot(first.x - last.x, first.y - last.y, first.z - last.z);
    fill(place,
      h("dl", { class: "facts" },
        h("dt", {}, t("ruler.distance")), h("dd", { class: "strong", "data-distance": String(1000 * distance) }, `${num(1000 * distance, 2, 2)} mm`),
        first.height !== null && last.height !== null && h("dt", {}, t("ruler.step")), first.height !== null && last.height !== null && h("dd", {}, `${num(1000 * (last.height - first.height), 2, 2)} mm`)),
      h("h3", {}, t("ruler.profile")), h("div", { class: "chart-place" }, chart.element));
  }

  return {
    element: h("section", { class: "panel" }, h("header", {}, h("h2", {}, t("ruler.title")), h("span", { class: "grow" }), on), h("div", { class: "body" }, place)),
    destroy: () => chart?.destroy(),
  };
}
