// @ts-check
/** Where a map crosses a limit: marching squares with linear interpolation between pixel centres. */

/**
 * Line segments in map pixels, x0 y0 x1 y1 each; a pixel's centre is at (column + 0.5, row + 0.5).
 * @param {Float32Array} values
 * @param {number} width
 * @param {number} height
 * @param {number} limit
 * @returns {Float32Array}
 */
export function contour(values, width, height, limit) {
  /** @type {number[]} */
  const found = [];
  for (let row = 0; row + 1 < height; row++) {
    for (let column = 0, at = row * width; column + 1 < width; column++, at++) {
      const nw = values[at];
      const ne = values[at + 1];
      const sw = values[at + width];
      const se = values[at + width + 1];
      const inside = (nw > limit ? 8 : 0) | (ne > limit ? 4 : 0) | (se > limit ? 2 : 0) | (sw > limit ? 1 : 0);
      if (inside === 0 || inside === 15) continue;
      const x = column + 0.5;
      const y = row + 0.5;
      const north = [x + (limit - nw) / (ne - nw), y];
      const south = [x + (limit - sw) / (se - sw), y + 1];
      const west = [x, y + (limit - nw) / (sw - nw)];
      const east = [x + 1, y + (limit - ne) / (se - ne)];
      for (const [from, to] of SIDES[inside]) {
        const sides = { north, south, west, east };
        found.push(...sides[from], ...sides[to]);
      }
    }
  }
  return Float32Array.from(found);
}

/** @typedef {"north" | "south" | "west" | "east"} Side */

/** Which sides a line joins, by which corners are above the limit (8 nw, 4 ne, 2 se, 1 sw).
 * @type {Record<number, [Side, Side][]>} */
const SIDES = {
  1: [["west", "south"]],
  2: [["south", "east"]],
  3: [["west", "east"]],
  4: [["north", "east"]],
  5: [["west", "north"], ["south", "east"]],
  6: [["north", "south"]],
  7: [["west", "north"]],
  8: [["west", "north"]],
  9: [["north", "south"]],
  10: [["north", "east"], ["west", "south"]],
  11: [["north", "east"]],
  12: [["west", "east"]],
  13: [["south", "east"]],
  14: [["west", "south"]],
};

/**
 * Of a picture of flags (a brush mask): its outline along pixel borders.
 * @param {Uint8Array} flags
 * @param {number} width
 * @param {number} height
 */
export function outline(flags, width, height) {
  return contour(Float32Array.from(flags), width, height, 0.5);
}
