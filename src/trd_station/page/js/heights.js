// @ts-check
/** Heights over the support: of points, on the map's grid, along a line, and the difference of two parts. */

import { extent } from "./relief.js";

/** @typedef {import("./decode.js").ScoredCloud} ScoredCloud */

/** The plane that heights are measured from, (a, b, c, d); where none was found, nearness to the camera. @param {ScoredCloud} cloud */
export function planeOf(cloud) {
  return cloud.plane ?? /** @type {[number, number, number, number]} */ ([0, 0, -1, 0]);
}

/**
 * Metres over the support at every pixel, NaN where nothing was measured.
 * @param {ScoredCloud} cloud
 * @returns {Float32Array} (height * width)
 */
export function heightMap(cloud) {
  const [a, b, c, d] = planeOf(cloud);
  const heights = new Float32Array(cloud.height * cloud.width).fill(NaN);
  for (let i = 0, at = 0; i < cloud.pixels.length; i++, at += 3) {
    heights[cloud.pixels[i]] = a * cloud.positions[at] + b * cloud.positions[at + 1] + c * cloud.positions[at + 2] + d;
  }
  return heights;
}

/**
 * The range of all but the outermost heights.
 * @param {Float32Array} heights
 * @returns {[number, number]}
 */
export function heightRange(heights) {
  const step = Math.max(1, Math.floor(heights.length / 20000));
  const known = heights.filter((value, index) => index % step === 0 && !Number.isNaN(value)).sort();
  if (!known.length) return [0, 1e-3];
  const at = (/** @type {number} */ share) => known[Math.min(known.length - 1, Math.floor(share * known.length))];
  return [at(0.005), Math.max(at(0.995), at(0.005) + 1e-5)];
}

/**
 * One part's heights less another's, in metres; NaN where one of them was not measured.
 * @param {Float32Array} heights
 * @param {Float32Array} other of the same grid
 * @param {number} width
 * @param {{ rows: number, columns: number }} shift how much farther down and right the first part lies, pixels
 */
export function difference(heights, other, width, shift) {
  const height = heights.length / width;
  return heights.map((value, index) => {
    const row = Math.floor(index / width) - shift.rows;
    const column = (index % width) - shift.columns;
    return row < 0 || column < 0 || row >= height || column >= width ? NaN : value - other[row * width + column];
  });
}

/**
 * How much farther down and right a part lies than another, by the middles that were measured of both.
 * @param {Record<string, number>} measures
 * @param {Record<string, number>} other
 * @param {ScoredCloud} cloud of the first
 * @returns {{ rows: number, columns: number }} none where the middles are not known
 */
export function shiftOf(measures, other, cloud) {
  const apart = (/** @type {string} */ name) => (measures[name] ?? NaN) - (other[name] ?? NaN);
  const pixel = 1000 * extent(cloud).pitch * (cloud.positions[3 * Math.floor(cloud.pixels.length / 2) + 2] ?? NaN);
  const pixels = (/** @type {string} */ name) => Math.round(apart(name) / pixel) || 0;
  return { rows: pixels("part_y_mm"), columns: pixels("part_x_mm") };
}

/**
 * A difference as a picture: blue is lower, red is higher, grey is the same, black is not measured in one of them.
 * @param {Float32Array} values
 * @param {number} width
 * @param {number} height
 * @param {number} most the difference that is drawn in full colour
 * @returns {ImageData}
 */
export function differencePicture(values, width, height, most) {
  const picture = new ImageData(width, height);
  for (let i = 0; i < values.length; i++) {
    const share = Math.min(1, Math.abs(values[i]) / most);
    const colour = Number.isNaN(values[i]) ? [0, 0, 0] : values[i] > 0 ? [200 + 40 * share, 200 - 130 * share, 200 - 150 * share] : [200 - 150 * share, 200 - 70 * share, 200 + 50 * share];
    picture.data.set([...colour, 255], 4 * i);
  }
  return picture;
}

/**
 * Heights along the straight line between two pixels.
 * @param {ScoredCloud} cloud
 * @param {Int32Array} points as from `pointAt`
 * @param {import("./linked.js").Pixel} from
 * @param {import("./linked.js").Pixel} to
 * @returns {{ along: number[], heights: (number | null)[] }} metres along the support from the first measured point on; metres over it, null where nothing was measured
 */
export function profile(cloud, points, from, to) {
  const steps = Math.max(1, Math.abs(to.row - from.row), Math.abs(to.column - from.column));
  const [a, b, c, d] = planeOf(cloud);
  /** @type {[number, number, number] | null} */
  let first = null;
  const along = [];
  const heights = [];
  for (let step = 0; step <= steps; step++) {
    const row = Math.round(from.row + ((to.row - from.row) * step) / steps);
    const column = Math.round(from.column + ((to.column - from.column) * step) / steps);
    const point = points[row * cloud.width + column];
    if (point < 0) {
      if (along.length) {
        along.push(along[along.length - 1]);
        heights.push(null);
      }
      continue;
    }
    const [x, y, z] = cloud.positions.subarray(3 * point, 3 * point + 3);
    const height = a * x + b * y + c * z + d;
    first ??= [x - a * height, y - b * height, z - c * height];
    along.push(Math.hypot(x - a * height - first[0], y - b * height - first[1], z - c * height - first[2]));
    heights.push(height);
  }
  return { along, heights };
}
