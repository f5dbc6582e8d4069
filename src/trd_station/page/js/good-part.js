// @ts-check
/** The good part that is most like one that is looked at: fetched when it is asked for, on the same grid. */

import { get, ofPart } from "./api.js";
import { difference, heightMap, shiftOf } from "./heights.js";
import { Looks, mainImage } from "./looks.js";

/** @typedef {import("./types.js").Inspection} Inspection */

const FULL_COLOUR = 0.9; // of all differences are drawn in less than full colour
const LEAST = 2e-4; // metres: what is less is mostly the sensor's noise

export class GoodPart {
  /**
   * @param {Inspection} part that is looked at
   * @param {Looks} looks of it
   */
  constructor(part, looks) {
    this.of = part;
    this.looks = looks;
    /** @type {Promise<{ part: Inspection, looks: Looks } | null> | null} */
    this.asked = null;
    /** @type {Promise<{ values: Float32Array, most: number }> | null} */
    this.compared = null;
    this.stop = new AbortController();
  }

  destroy() {
    this.stop.abort();
    void this.asked?.then((good) => good?.looks.destroy(), () => {});
  }

  #good() {
    this.asked ??= get(ofPart(this.of.id, "/nearest-good"), {}, this.stop.signal).then(({ inspection }) => inspection && { part: inspection, looks: new Looks(inspection) });
    this.asked.catch(() => (this.asked = null)); // so that it can be tried again
    return this.asked;
  }

  /** @returns {Promise<Inspection | null>} */
  async part() {
    return (await this.#good())?.part ?? null;
  }

  /** @returns {Promise<ImageBitmap | null>} */
  async picture() {
    const good = await this.#good();
    const name = good && mainImage(good.part);
    return good && name ? good.looks.image(name) : null;
  }

  /** This part's heights less the good one's in metres, and the difference that is drawn in full colour. */
  difference() {
    this.compared ??= this.#compare();
    this.compared.catch(() => (this.compared = null));
    return this.compared;
  }

  async #compare() {
    const good = await this.#good();
    if (!good) throw new Error("no good part");
    const [own, other] = await Promise.all([this.looks.cloud(), good.looks.cloud()]);
    const shift = shiftOf(this.of.measures, good.part.measures, own);
    const values = difference(heightMap(own), heightMap(other), own.width, shift);
    const sizes = values.filter((value) => !Number.isNaN(value)).map(Math.abs).sort();
    return { values, most: Math.max(LEAST, sizes[Math.floor(FULL_COLOUR * sizes.length)] ?? LEAST) };
  }
}
