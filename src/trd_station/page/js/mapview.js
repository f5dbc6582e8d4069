// @ts-check
/** One picture of a part with the heat, the contour and the linked cursor over it. */

import { h, pen } from "./dom.js";
import { Linked } from "./linked.js";

/**
 * @typedef {object} Layers
 * @property {CanvasImageSource | null} picture drawn over the whole map
 * @property {CanvasImageSource | null} [heat]
 * @property {Float32Array | null} [contour] segments, see contour.js
 * @property {Float32Array | null} [marked] outline of a person's brush
 * @property {import("./linked.js").Pixel[] | null} [ruler] one or both of its ends
 */

export class MapView {
  /**
   * @param {Linked} linked
   * @param {string} label what is shown, for readers
   */
  constructor(linked, label) {
    this.linked = linked;
    /** @type {Layers} */
    this.layers = { picture: null };
    /** @type {((pixel: import("./linked.js").Pixel, first: boolean) => void) | null} */
    this.onpaint = null;
    /** Told of a place that is tapped. @type {((pixel: import("./linked.js").Pixel) => void) | null} */
    this.onpick = null;
    this.canvas = h("canvas", { class: "view-canvas", role: "img", "aria-label": label, tabIndex: 0 });
    this.marks = h("canvas", { class: "view-canvas view-marks", "aria-hidden": "true" });
    this.element = h("div", { class: "view" }, this.canvas, this.marks);
    this.drawn = 0;
    this.end = linked.listen((what) => (what === "cursor" ? this.#drawMarks() : this.draw()));
    this.observer = new ResizeObserver(() => this.draw());
    this.observer.observe(this.element);
    this.#listen();
  }

  destroy() {
    this.end();
    this.observer.disconnect();
    cancelAnimationFrame(this.drawn);
  }

  /** @param {Partial<Layers>} layers */
  show(layers) {
    Object.assign(this.layers, layers);
    this.draw();
  }

  /** @param {string} label */
  set label(label) {
    this.canvas.setAttribute("aria-label", label);
  }

  /** Where the map's pixel (0, 0) begins on the canvas and how many canvas pixels a map pixel has. */
  get placement() {
    const { width, height, detail } = this.linked;
    const box = this.element.getBoundingClientRect();
    const scale = Math.min(box.width / width, box.height / height) * detail.zoom;
    return { x: box.width / 2 - detail.x * scale, y: box.height / 2 - detail.y * scale, scale, box };
  }

  /**
   * @param {{ clientX: number, clientY: number }} event
   */
  place(event) {
    const { x, y, scale, box } = this.placement;
    return { x: (event.clientX - box.left - x) / scale, y: (event.clientY - box.top - y) / scale };
  }

  draw() {
    cancelAnimationFrame(this.drawn);
    this.drawn = requestAnimationFrame(() => {
      this.#drawPicture();
      this.#drawMarks();
    });
  }

  /** @param {HTMLCanvasElement} canvas */
  #begin(canvas) {
    const { box } = this.placement;
    const ratio = window.devicePixelRatio || 1;
    const [width, height] = [Math.round(box.width * ratio), Math.round(box.height * ratio)];
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    const context = pen(canvas);
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, width, height);
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    return context;
  }

  #drawPicture() {
    const context = this.#begin(this.canvas);
    const { x, y, scale } = this.placement;
    const [width, height] = [this.linked.width * scale, this.linked.height * scale];
    const { picture, heat, contour, marked, ruler } = this.layers;
    context.imageSmoothingEnabled = scale < 3; // close up, pixels are looked at
    if (picture) context.drawImage(picture, x, y, width, height);
    if (heat) context.drawImage(heat, x, y, width, height);
    if (contour) trace(context, contour, x, y, scale, ["rgb(0 0 0 / 65%)", "#fff"]);
    if (marked) trace(context, marked, x, y, scale, ["rgb(0 0 0 / 65%)", "#5ee7ff"]);
    if (ruler) drawRuler(context, ruler.map((end) => [x + (end.column + 0.5) * scale, y + (end.row + 0.5) * scale]));
  }

  #drawMarks() {
    const context = this.#begin(this.marks);
    const { cursor } = this.linked;
    if (!cursor) return;
    const { x, y, scale } = this.placement;
    const at = { x: x + (cursor.column + 0.5) * scale, y: y + (cursor.row + 0.5) * scale };
    const gap = Math.max(6, scale * 0.75);
    for (const [colour, width] of /** @type {[string, number][]} */ ([["rgb(0 0 0 / 60%)", 3], ["#fff", 1]])) {
      context.strokeStyle = colour;
      context.lineWidth = width;
      context.beginPath();
      for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
        context.moveTo(at.x + dx * gap, at.y + dy * gap);
        context.lineTo(at.x + dx * (gap + 12), at.y + dy * (gap + 12));
      }
      context.stroke();
    }
  }

  #listen() {
    /** @type {Map<number, { x: number, y: number }>} */
    const fingers = new Map();
    let dragged = false;
    const surface = this.element;
    surface.addEventListener("pointerdown", (event) => {
      fingers.set(event.pointerId, { x: event.clientX, y: event.clientY });
      dragged = false;
      surface.setPointerCapture(event.pointerId);
      if (this.onpaint) this.onpaint(pixel(this.place(event)), true);
    });
    surface.addEventListener("pointermove", (event) => {
      const before = fingers.get(event.pointerId);
      const place = this.place(event);
      if (before && this.onpaint) {
        this.onpaint(pixel(place), false);
      } else if (before && fingers.size === 2) {
        const other = [...fingers].find(([id]) => id !== event.pointerId)?.[1] ?? before;
        const spread = (/** @type {{ x: number, y: number }} */ from) => Math.hypot(from.x - other.x, from.y - other.y);
        const now = { x: event.clientX, y: event.clientY };
        this.linked.zoom(spread(now) / Math.max(1, spread(before)), place);
        fingers.set(event.pointerId, now);
        dragged = true;
      } else if (before && (dragged || Math.hypot(event.clientX - before.x, event.clientY - before.y) > 4)) {
        const { scale } = this.placement;
        const { x, y, zoom } = this.linked.detail;
        this.linked.show({ x: x - (event.clientX - before.x) / scale, y: y - (event.clientY - before.y) / scale, zoom });
        fingers.set(event.pointerId, { x: event.clientX, y: event.clientY });
        dragged = true;
      }
      this.linked.point(pixel(place));
    });
    const lift = (/** @type {PointerEvent} */ event) => fingers.delete(event.pointerId);
    surface.addEventListener("pointerup", (event) => {
      if (!dragged) {
        this.linked.point(pixel(this.place(event))); // a finger that taps moves nowhere before
        if (this.linked.cursor) this.onpick?.(this.linked.cursor);
      }
      lift(event);
    });
    surface.addEventListener("pointercancel", lift);
    surface.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.linked.zoom(Math.exp(-event.deltaY * 0.0015), this.place(event));
    }, { passive: false });
    surface.addEventListener("dblclick", () => this.linked.goHome());
    this.canvas.addEventListener("keydown", (event) => this.#key(event));
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const { cursor, width, height } = this.linked;
    const at = cursor ?? { row: Math.floor(height / 2), column: Math.floor(width / 2) };
    const step = event.shiftKey ? 10 : 1;
    const moves = /** @type {Record<string, [number, number]>} */ ({
      ArrowUp: [-step, 0], ArrowDown: [step, 0], ArrowLeft: [0, -step], ArrowRight: [0, step],
    });
    if (moves[event.key]) {
      this.linked.point({ row: at.row + moves[event.key][0], column: at.column + moves[event.key][1] });
    } else if (event.key === "+" || event.key === "-") {
      this.linked.zoom(event.key === "+" ? 1.4 : 1 / 1.4, { x: at.column + 0.5, y: at.row + 0.5 });
    } else if (event.key === "0") {
      this.linked.goHome();
    } else {
      return;
    }
    event.preventDefault();
    event.stopPropagation();
  }
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {number[][]} ends
 */
function drawRuler(context, ends) {
  for (const [colour, width] of /** @type {[string, number][]} */ ([["rgb(0 0 0 / 65%)", 4], ["#ff5edb", 2]])) {
    context.strokeStyle = colour;
    context.lineWidth = width;
    context.beginPath();
    for (const [x, y] of ends) {
      context.moveTo(x + 5, y);
      context.arc(x, y, 5, 0, 2 * Math.PI);
    }
    if (ends.length === 2) {
      context.moveTo(ends[0][0], ends[0][1]);
      context.lineTo(ends[1][0], ends[1][1]);
    }
    context.stroke();
  }
}

/** @param {{ x: number, y: number }} place */
function pixel(place) {
  return { row: Math.floor(place.y), column: Math.floor(place.x) };
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {Float32Array} segments
 * @param {number} x
 * @param {number} y
 * @param {number} scale
 * @param {[string, string]} colours outer and inner, so that the line is seen on any picture
 */
function trace(context, segments, x, y, scale, colours) {
  context.beginPath();
  for (let i = 0; i < segments.length; i += 4) {
    context.moveTo(x + segments[i] * scale, y + segments[i + 1] * scale);
    context.lineTo(x + segments[i + 2] * scale, y + segments[i + 3] * scale);
  }
  context.lineCap = "round";
  for (const [index, colour] of colours.entries()) {
    context.strokeStyle = colour;
    context.lineWidth = index ? 1.25 : 3.25;
    context.stroke();
  }
}
