// @ts-check
/** A part's pictures and maps, fetched once, on the map's grid. */

import { bytes, imagePath, mapPath, ofPart, picture } from "./api.js";
import { cloud, npy } from "./decode.js";
import { pen } from "./dom.js";

/** @typedef {import("./types.js").Inspection} Inspection */

export class Looks {
  /** @param {Inspection} part */
  constructor(part) {
    this.part = part;
    this.stop = new AbortController();
    /** @type {Map<string, Promise<any>>} */
    this.found = new Map();
  }

  /** Ends what is still being fetched. */
  destroy() {
    this.stop.abort();
  }

  /**
   * @template T
   * @param {string} key
   * @param {() => Promise<T>} load
   * @returns {Promise<T>}
   */
  #once(key, load) {
    const known = this.found.get(key);
    if (known) return known;
    const made = load();
    made.catch(() => this.found.delete(key)); // so that it can be tried again
    this.found.set(key, made);
    return made;
  }

  /** @param {string} name */
  image(name) {
    return this.#once(`image ${name}`, () => picture(imagePath(this.part.id, name), this.stop.signal));
  }

  /**
   * @param {string} name
   * @returns {Promise<Float32Array>} (height * width)
   */
  map(name) {
    return this.#once(`map ${name}`, async () => npy(await bytes(mapPath(this.part.id, name), this.stop.signal)).values);
  }

  cloud() {
    return this.#once("cloud", async () => cloud(await bytes(ofPart(this.part.id, "/cloud.bin"), this.stop.signal)));
  }

  get size() {
    return this.part.frame ?? { height: 1, width: 1 };
  }
}

/**
 * What the views begin with: the window with a little of its surroundings.
 * @param {Inspection} part
 */
export function homeDetail(part) {
  const frame = part.frame ?? { height: 1, width: 1 };
  const seen = part.window ?? { top: 0, left: 0, ...frame };
  return {
    x: seen.left + seen.width / 2,
    y: seen.top + seen.height / 2,
    zoom: Math.max(1, 0.98 * Math.min(frame.height / seen.height, frame.width / seen.width)),
  };
}

/** @param {ImageData} data */
export function drawable(data) {
  const canvas = new OffscreenCanvas(data.width, data.height);
  pen(canvas).putImageData(data, 0, 0);
  return canvas;
}

/**
 * What a person marked with a verdict.
 * @param {number} verdict
 * @returns {Promise<Uint8Array>} 1 where it is marked
 */
export async function maskOf(verdict) {
  const bitmap = await picture(`/v1/verdicts/${verdict}/mask.png`);
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
  const context = pen(canvas);
  context.drawImage(bitmap, 0, 0);
  const pixels = context.getImageData(0, 0, bitmap.width, bitmap.height).data;
  return Uint8Array.from({ length: bitmap.width * bitmap.height }, (_, index) => (pixels[4 * index] > 0 ? 1 : 0));
}

/** The picture that shows a part to people: the first that is one, colour mostly. @param {Inspection} part */
export function mainImage(part) {
  return part.images[0] ?? null;
}
