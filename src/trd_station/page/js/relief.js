// @ts-check
/** An organised cloud made ready for drawing: order, normals, faces. */

/**
 * @typedef {object} Cloud
 * @property {number} height of the map's grid
 * @property {number} width
 * @property {Uint32Array} pixels (n) row * width + column of each point
 * @property {Float32Array} positions (3 n) metres in the camera's frame: x right, y down, z away
 */

/**
 * The points with those of every second row and column first: the first `coarse` are a quarter of the cloud, spread
 * evenly, to be drawn while it moves.
 * @param {import("./decode.js").ScoredCloud} cloud
 * @returns {import("./decode.js").ScoredCloud & { coarse: number }}
 */
export function coarseFirst(cloud) {
  const { width, pixels, positions } = cloud;
  const count = pixels.length;
  const order = new Uint32Array(count);
  let coarse = 0;
  for (let i = 0; i < count; i++) if (isCoarse(pixels[i], width)) order[coarse++] = i;
  for (let i = 0, rest = coarse; i < count; i++) if (!isCoarse(pixels[i], width)) order[rest++] = i;
  const sorted = { pixels: new Uint32Array(count), positions: new Float32Array(3 * count), scores: new Float32Array(count) };
  const colours = cloud.colours && new Uint32Array(count);
  const before = cloud.colours && new Uint32Array(cloud.colours.buffer, cloud.colours.byteOffset, count);
  for (let i = 0; i < count; i++) {
    const from = order[i];
    sorted.pixels[i] = pixels[from];
    sorted.positions[3 * i] = positions[3 * from];
    sorted.positions[3 * i + 1] = positions[3 * from + 1];
    sorted.positions[3 * i + 2] = positions[3 * from + 2];
    sorted.scores[i] = cloud.scores[from];
    if (colours && before) colours[i] = before[from];
  }
  return { ...cloud, ...sorted, colours: colours && new Uint8Array(colours.buffer), coarse };
}

/**
 * @param {number} pixel
 * @param {number} width
 */
function isCoarse(pixel, width) {
  return (pixel % width) % 2 === 0 && Math.floor(pixel / width) % 2 === 0;
}

/**
 * Which point lies at each pixel, -1 where nothing was measured.
 * @param {Cloud} cloud
 * @returns {Int32Array} (height * width)
 */
export function pointAt(cloud) {
  const found = new Int32Array(cloud.height * cloud.width).fill(-1);
  for (let i = 0; i < cloud.pixels.length; i++) found[cloud.pixels[i]] = i;
  return found;
}

const LIGHT = [-0.451, -0.551, -0.702]; // towards it, in the camera's frame, of length 1

/**
 * How much light from the upper left, over the camera, falls on each point; its slope comes from neighbours two pixels away, as
 * noise of single points is not to sparkle.
 * @param {Cloud} cloud
 * @param {Int32Array} points as from `pointAt`
 * @param {Uint8Array} colours (4 n) RGBA; the light goes into the fourth byte
 */
export function shade(cloud, points, colours) {
  const { width, height, pixels, positions } = cloud;
  const neighbour = (/** @type {number} */ row, /** @type {number} */ column, /** @type {number} */ self) => {
    if (row < 0 || column < 0 || row >= height || column >= width) return self;
    const point = points[row * width + column];
    return point < 0 ? self : point;
  };
  for (let i = 0; i < pixels.length; i++) {
    const row = (pixels[i] / width) | 0;
    const column = pixels[i] - row * width;
    const east = 3 * neighbour(row, column + 2, i);
    const west = 3 * neighbour(row, column - 2, i);
    const south = 3 * neighbour(row + 2, column, i);
    const north = 3 * neighbour(row - 2, column, i);
    const ux = positions[east] - positions[west];
    const uy = positions[east + 1] - positions[west + 1];
    const uz = positions[east + 2] - positions[west + 2];
    const vx = positions[south] - positions[north];
    const vy = positions[south + 1] - positions[north + 1];
    const vz = positions[south + 2] - positions[north + 2];
    const x = vy * uz - vz * uy;
    const y = vz * ux - vx * uz;
    const z = vx * uy - vy * ux;
    const length = Math.sqrt(x * x + y * y + z * z);
    const facing = length > 0 ? (LIGHT[0] * x + LIGHT[1] * y + LIGHT[2] * z) / length : -LIGHT[2];
    colours[4 * i + 3] = 255 * (0.45 + 0.55 * Math.max(0, facing));
  }
}

/**
 * Two triangles for every four neighbouring points that are not torn apart by a step.
 * @param {Cloud} cloud
 * @param {Int32Array} points as from `pointAt`
 * @param {number} step metres between two points' distances from the camera, beyond which nothing joins them
 * @returns {Uint32Array}
 */
export function faces(cloud, points, step) {
  const { width, height, positions } = cloud;
  const found = new Uint32Array(6 * cloud.pixels.length);
  let count = 0;
  for (let row = 0; row + 1 < height; row++) {
    for (let column = 0, at = row * width; column + 1 < width; column++, at++) {
      const a = points[at];
      const b = points[at + 1];
      const c = points[at + width];
      const d = points[at + width + 1];
      if (a < 0 || b < 0 || c < 0 || d < 0) continue;
      const za = positions[3 * a + 2];
      const zb = positions[3 * b + 2];
      const zc = positions[3 * c + 2];
      const zd = positions[3 * d + 2];
      if (Math.max(za, zb, zc, zd) - Math.min(za, zb, zc, zd) > step) continue;
      found[count++] = a;
      found[count++] = c;
      found[count++] = b;
      found[count++] = b;
      found[count++] = c;
      found[count++] = d;
    }
  }
  return found.subarray(0, count);
}

/**
 * The box that holds all but the outermost of the points, and how far apart neighbours are.
 * @param {Cloud} cloud
 */
export function extent(cloud) {
  const { positions, pixels } = cloud;
  const stride = Math.max(1, Math.floor(pixels.length / 5000));
  const middle = [0, 0, 0];
  let radius = 0;
  const sides = [0, 1, 2].map((axis) => {
    const values = [];
    for (let i = 0; i < pixels.length; i += stride) values.push(positions[3 * i + axis]);
    values.sort((one, other) => one - other);
    const low = values[Math.floor(0.005 * values.length)] ?? 0;
    const high = values[Math.max(0, Math.ceil(0.995 * values.length) - 1)] ?? 0;
    middle[axis] = (low + high) / 2;
    return high - low;
  });
  radius = Math.hypot(...sides) / 2 || 1e-3;
  return { middle, radius, pitch: pitch(cloud) };
}

/**
 * Median distance of points that are neighbours in a row, over z: metres per metre.
 * @param {Cloud} cloud
 */
function pitch(cloud) {
  const { positions, pixels } = cloud;
  const apart = [];
  const stride = Math.max(1, Math.floor(pixels.length / 5000));
  for (let i = 0; i + 1 < pixels.length; i += stride) {
    const columns = pixels[i + 1] - pixels[i];
    if (columns < 1 || columns > 2 || !(positions[3 * i + 2] > 0)) continue;
    apart.push((positions[3 * i + 3] - positions[3 * i]) / columns / positions[3 * i + 2]);
  }
  apart.sort((one, other) => one - other);
  return Math.abs(apart[Math.floor(apart.length / 2)] ?? 0.002) || 0.002;
}
