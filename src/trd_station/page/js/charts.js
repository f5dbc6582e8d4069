// @ts-check
/** Charts in the page's colours, as wide as their place. */

import uPlot from "../vendor/uplot/uPlot.esm.js";
import { fill, h } from "./dom.js";
import { num } from "./i18n.js";
import { colour, onTheme } from "./theme.js";

/** @typedef {(number | null)[][]} Columns the x values, then those of each series */

const NEAR = 16; // CSS pixels between the mouse and what it points at
const FONT = '12px "Inter", sans-serif';

export class Chart {
  /**
   * @param {string} label what the chart shows, for readers
   * @param {number} height CSS pixels
   * @param {() => Pick<uPlot.Options, "series"> & Partial<uPlot.Options>} options asked again when the theme changes
   * @param {Columns} data
   */
  constructor(label, height, options, data) {
    this.element = h("div", { class: "chart", role: "img", "aria-label": label, style: { height: `${height}px` } });
    this.height = height;
    this.options = options;
    this.data = data;
    /** @type {uPlot | null} */
    this.plot = null;
    this.end = onTheme(() => this.#make());
    this.observer = new ResizeObserver(() => {
      const width = this.element.clientWidth;
      if (!this.plot) this.#make();
      else if (width) this.plot.setSize({ width, height: this.height });
    });
    this.observer.observe(this.element);
  }

  destroy() {
    this.end();
    this.observer.disconnect();
    this.plot?.destroy();
  }

  /** @param {Columns} data */
  set(data) {
    this.data = data;
    this.plot?.setData(/** @type {uPlot.AlignedData} */ (/** @type {unknown} */ (data)));
  }

  redraw() {
    this.plot?.redraw(false);
  }

  #make() {
    const width = this.element.clientWidth;
    if (!width) return;
    this.plot?.destroy();
    const common = { width, height: this.height, legend: { show: false }, cursor: { drag: { x: false, y: false }, points: { show: false } } };
    this.plot = new uPlot({ ...common, ...this.options() }, /** @type {uPlot.AlignedData} */ (/** @type {unknown} */ (this.data)), this.element);
  }
}

/**
 * An axis in the page's colours.
 * @param {object} [more]
 */
export function axis(more = {}) {
  return {
    stroke: colour("quiet"), font: FONT, labelFont: FONT, labelSize: 18, gap: 4, size: 40,
    grid: { stroke: colour("rule"), width: 1 }, ticks: { show: false },
    values: (/** @type {any} */ _plot, /** @type {(number | null)[]} */ ticks) => ticks.map((tick) => (tick === null ? "" : num(tick, 3))),
    ...more,
  };
}

/**
 * Points without a line.
 * @param {string} name of a colour
 * @param {number} size
 */
export function dots(name, size) {
  return { stroke: colour(name), paths: () => null, points: { show: true, size, fill: colour(name), stroke: colour(name), width: 0 } };
}

/**
 * A limit that may change from part to part.
 * @param {string} name of a colour
 */
export function stepped(name) {
  return { stroke: colour(name), width: 2, points: { show: false }, paths: /** @type {any} */ (uPlot.paths).stepped({ align: 1 }) };
}

/**
 * Horizontal or vertical lines over the chart.
 * @param {() => { at: number, colour: string, axis: "x" | "y" }[]} lines
 */
export function ruled(lines) {
  return {
    hooks: {
      draw: [(/** @type {any} */ plot) => {
        const { ctx, bbox } = plot;
        ctx.save();
        for (const line of lines()) {
          const at = Math.round(plot.valToPos(line.at, line.axis, true)) + 0.5;
          ctx.beginPath();
          ctx.strokeStyle = colour(line.colour);
          ctx.lineWidth = 2 * (window.devicePixelRatio || 1);
          if (line.axis === "y" && at >= bbox.top && at <= bbox.top + bbox.height) {
            ctx.moveTo(bbox.left, at);
            ctx.lineTo(bbox.left + bbox.width, at);
          } else if (line.axis === "x" && at >= bbox.left && at <= bbox.left + bbox.width) {
            ctx.moveTo(at, bbox.top);
            ctx.lineTo(at, bbox.top + bbox.height);
          }
          ctx.stroke();
        }
        ctx.restore();
      }],
    },
  };
}

/**
 * Arrows at the upper rim for what lies above it, with its value.
 * @param {() => { at: number, text: string, colour: string }[]} values by x
 */
export function beyond(values) {
  return {
    hooks: {
      draw: [(/** @type {any} */ plot) => {
        const { ctx, bbox } = plot;
        const size = 5 * (window.devicePixelRatio || 1);
        let free = Infinity; // texts stand to the left of their arrows, the newest first; one that would cover another is left out
        ctx.save();
        ctx.font = FONT.replace("12px", `${2.4 * size}px`);
        ctx.textAlign = "right";
        ctx.textBaseline = "top";
        for (const { at, text, colour: name } of [...values()].reverse()) {
          const x = plot.valToPos(at, "x", true);
          ctx.fillStyle = colour(name);
          ctx.beginPath();
          ctx.moveTo(x, bbox.top);
          ctx.lineTo(x - size, bbox.top + 2 * size);
          ctx.lineTo(x + size, bbox.top + 2 * size);
          ctx.fill();
          if (x + size > free) continue;
          ctx.fillText(text, x - 1.5 * size, bbox.top);
          free = x - 2.5 * size - ctx.measureText(text).width;
        }
        ctx.restore();
      }],
    },
  };
}

/**
 * Says what lies under the mouse, and opens it on a click.
 * @param {{ text: (index: number) => string[], open: (index: number) => void }} what lines of text, none where nothing lies there
 */
export function pointed({ text, open }) {
  const tip = h("div", { class: "chart-tip", hidden: true });
  /** @type {number | null} */
  let held = null;
  return {
    hooks: {
      init: [(/** @type {any} */ plot) => {
        plot.over.append(tip);
        plot.over.addEventListener("click", () => held !== null && open(held));
      }],
      setCursor: [(/** @type {any} */ plot) => {
        const { idx, left, top } = plot.cursor;
        const near = idx !== null && idx !== undefined && left >= 0 && Math.abs(plot.valToPos(plot.data[0][idx], "x") - left) < NEAR;
        held = near ? idx : null;
        const lines = held === null ? [] : text(held);
        tip.hidden = !lines.length;
        plot.over.style.cursor = lines.length ? "pointer" : "";
        if (!lines.length) return;
        fill(tip, lines.map((line, index) => h("div", { class: index ? "" : "strong" }, line)));
        tip.style.left = `${Math.max(0, Math.min(left + 12, plot.over.clientWidth - tip.offsetWidth))}px`;
        tip.style.top = `${Math.max(0, Math.min(top + 12, plot.over.clientHeight - tip.offsetHeight))}px`;
      }],
    },
  };
}

/**
 * A shaded band between two values of y.
 * @param {() => [number, number] | null} band
 */
export function banded(band) {
  return {
    hooks: {
      drawClear: [(/** @type {any} */ plot) => {
        const range = band();
        if (!range) return;
        const { ctx, bbox } = plot;
        const [low, high] = range.map((value) => Math.min(bbox.top + bbox.height, Math.max(bbox.top, plot.valToPos(value, "y", true))));
        ctx.save();
        ctx.fillStyle = colour("accent-soft");
        ctx.fillRect(bbox.left, high, bbox.width, low - high);
        ctx.restore();
      }],
    },
  };
}

/**
 * The key of a chart, beside it.
 * @param {[string, string, ("dot" | "line" | "box")?][]} entries colour and text
 */
export function chartKey(entries) {
  return h("ul", { class: "chart-key" }, entries.map(([name, text, shape = "dot"]) =>
    h("li", {}, h("i", { class: shape, style: { background: `var(--${name})` } }), text)));
}
