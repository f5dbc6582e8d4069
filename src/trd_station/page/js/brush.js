// @ts-check
/** Marking the place of a defect by hand. */

import { outline } from "./contour.js";
import { drawable } from "./looks.js";

export class Brush {
  /** @param {{ height: number, width: number }} size of the map */
  constructor({ height, width }) {
    this.height = height;
    this.width = width;
    /** Which pixels are marked; null while none is. @type {Uint8Array | null} */
    this.flags = null;
  }

  clear() {
    this.flags = null;
  }

  /** @param {import("./linked.js").Pixel} middle of a round dab */
  dab(middle) {
    const { height, width } = this;
    this.flags ??= new Uint8Array(height * width);
    const radius = Math.max(2, Math.round(Math.max(height, width) / 80));
    for (let row = Math.max(0, middle.row - radius); row <= Math.min(height - 1, middle.row + radius); row++) {
      for (let column = Math.max(0, middle.column - radius); column <= Math.min(width - 1, middle.column + radius); column++) {
        if ((row - middle.row) ** 2 + (column - middle.column) ** 2 <= radius ** 2) this.flags[row * width + column] = 1;
      }
    }
  }

  /** @returns {Float32Array | null} segments, as of contour.js */
  outline() {
    return this.flags && outline(this.flags, this.width, this.height);
  }

  /** @returns {Promise<string | null>} a PNG in base64, white where marked; null where nothing is */
  async png() {
    if (!this.flags) return null;
    const picture = new ImageData(this.width, this.height);
    new Uint32Array(picture.data.buffer).set(Uint32Array.from(this.flags, (flag) => (flag ? 0xffffffff : 0xff000000)));
    const blob = await drawable(picture).convertToBlob({ type: "image/png" });
    const bytes = new Uint8Array(await blob.arrayBuffer());
    let text = "";
    for (let start = 0; start < bytes.length; start += 32768) text += String.fromCharCode(...bytes.subarray(start, start + 32768));
    return btoa(text);
  }
}
