// @ts-check
/** The station's binary answers: float maps (NumPy files) and clouds. */

/**
 * A float32 map.
 * @param {ArrayBuffer} buffer NumPy format 1.0, little-endian float32, two axes, C order
 * @returns {{ height: number, width: number, values: Float32Array }}
 */
export function npy(buffer) {
  const view = new DataView(buffer);
  if (view.byteLength < 10 || view.getUint32(0, false) !== 0x934e554d) throw new Error("not a NumPy file");
  const length = view.getUint16(8, true);
  const header = new TextDecoder("latin1").decode(new Uint8Array(buffer, 10, length));
  const shape = /'shape':\s*\((\d+),\s*(\d+)\)/.exec(header);
  if (!shape || !header.includes("'<f4'") || header.includes("'fortran_order': True")) {
    throw new Error(`expected a float32 map, got ${header.trim()}`);
  }
  const [height, width] = [Number(shape[1]), Number(shape[2])];
  const start = 10 + length;
  const values = start % 4 ? new Float32Array(buffer.slice(start)) : new Float32Array(buffer, start, height * width);
  return { height, width, values };
}

/**
 * @typedef {import("./relief.js").Cloud & {
 *   scores: Float32Array, colours: Uint8Array | null, plane: [number, number, number, number] | null
 * }} ScoredCloud scores: of each point; colours: (4 n) RGBA
 */

/**
 * The cloud as docs/station-api.md lays it out.
 * @param {ArrayBuffer} buffer
 * @returns {ScoredCloud}
 */
export function cloud(buffer) {
  const view = new DataView(buffer);
  if (view.byteLength < 8 || view.getUint32(0, false) !== 0x54524443) throw new Error("not a cloud of the station");
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 8, view.getUint32(4, true))));
  if (header.version !== 1) throw new Error(`cloud version ${header.version}; this page reads 1`);
  const count = header.count;
  const section = (/** @type {string} */ name) =>
    new Uint8Array(buffer, header.sections[name].at, header.sections[name].bytes);

  const { scale, offset } = header.position;
  const positions = new Float32Array(3 * count);
  for (const [axis, name] of ["x", "y", "z"].entries()) {
    unpack(section(name), { offset: offset[axis], scale }, positions, axis, 3);
  }
  const scores = new Float32Array(count);
  unpack(section("score"), header.score, scores, 0, 1);
  let colours = null;
  if (header.has_colour) {
    colours = new Uint8Array(4 * count).fill(255);
    for (const [channel, name] of ["red", "green", "blue"].entries()) {
      const differences = section(name);
      for (let point = 0, value = 0; point < count; point++) {
        value = (value + differences[point]) & 255;
        colours[4 * point + channel] = value;
      }
    }
  }
  const { height, width } = header.frame;
  return { height, width, pixels: pixels(section("mask"), header), positions, scores, colours, plane: header.plane };
}

/**
 * Undoes low and high bytes apart, zigzag and differences.
 * @param {Uint8Array} packed two bytes a point
 * @param {{ offset: number, scale: number }} unit of the 16-bit numbers
 * @param {Float32Array} target
 * @param {number} first where in it
 * @param {number} stride from one point to the next
 */
function unpack(packed, { offset, scale }, target, first, stride) {
  const count = packed.length / 2;
  for (let point = 0, value = 0, at = first; point < count; point++, at += stride) {
    const zigzag = packed[point] | (packed[count + point] << 8);
    value = (value + ((zigzag >>> 1) ^ -(zigzag & 1))) & 65535;
    target[at] = offset + scale * value;
  }
}

/**
 * Where the points lie in the frame.
 * @param {Uint8Array} mask
 * @param {{ count: number, step: number, frame: { width: number }, window: import("./types.js").Window }} header
 */
function pixels(mask, header) {
  const { window: seen, step, frame, count } = header;
  const [rows, columns] = [Math.ceil(seen.height / step), Math.ceil(seen.width / step)];
  const found = new Uint32Array(count);
  let point = 0;
  for (let row = 0, bit = 0; row < rows; row++) {
    const start = (seen.top + row * step) * frame.width + seen.left;
    for (let column = 0; column < columns; column++, bit++) {
      if (mask[bit >> 3] & (128 >> (bit & 7))) found[point++] = start + column * step;
    }
  }
  if (point !== count) throw new Error(`the cloud's mask has ${point} points, its header ${count}`);
  return found;
}
