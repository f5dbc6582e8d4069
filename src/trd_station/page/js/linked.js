// @ts-check
/** What all views of one part share: the cursor, and the detail of the frame that is shown. */

/**
 * @typedef {{ row: number, column: number }} Pixel of the map
 * @typedef {{ x: number, y: number, zoom: number }} Detail centre in map pixels; zoom 1 shows the whole frame
 */

const CLOSEST = 40;

export class Linked {
  /**
   * @param {number} height of the map in pixels
   * @param {number} width
   * @param {Detail} [home] what is shown first
   */
  constructor(height, width, home) {
    this.height = height;
    this.width = width;
    /** @type {Pixel | null} */
    this.cursor = null;
    /** @type {Detail} */
    this.home = home ?? { x: width / 2, y: height / 2, zoom: 1 };
    this.detail = this.home;
    /** @type {Set<(what: "cursor" | "detail") => void>} */
    this.listeners = new Set();
  }

  /**
   * @param {(what: "cursor" | "detail") => void} listener
   * @returns {() => void} ends it
   */
  listen(listener) {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** @param {Pixel | null} pixel outside the map it is held at the rim */
  point(pixel) {
    if (pixel) {
      const hold = (/** @type {number} */ value, /** @type {number} */ size) => Math.min(size - 1, Math.max(0, value));
      pixel = { row: hold(pixel.row, this.height), column: hold(pixel.column, this.width) };
    }
    if (pixel?.row === this.cursor?.row && pixel?.column === this.cursor?.column) return;
    this.cursor = pixel;
    for (const listener of this.listeners) listener("cursor");
  }

  /** @param {Detail} detail */
  show(detail) {
    const zoom = Math.min(CLOSEST, Math.max(1, detail.zoom));
    const reach = (/** @type {number} */ at, /** @type {number} */ size) => {
      const margin = size / 2 / zoom;
      return Math.min(size - margin, Math.max(margin, at));
    };
    this.detail = { x: reach(detail.x, this.width), y: reach(detail.y, this.height), zoom };
    for (const listener of this.listeners) listener("detail");
  }

  goHome() {
    this.show(this.home);
  }

  /**
   * Nearer or farther, keeping a place of the map where it is on the screen.
   * @param {number} factor
   * @param {{ x: number, y: number }} at
   */
  zoom(factor, at) {
    const { x, y, zoom } = this.detail;
    const next = Math.min(CLOSEST, Math.max(1, zoom * factor));
    const kept = zoom / next;
    this.show({ x: at.x + (x - at.x) * kept, y: at.y + (y - at.y) * kept, zoom: next });
  }
}
