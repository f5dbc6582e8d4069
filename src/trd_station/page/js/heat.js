// @ts-check
/**
 * Colours of a map's values, safe for colour-blind eyes: lightness grows evenly and hue only goes from blue to yellow, the
 * axis that red-green blindness leaves alone. Computed in Oklab rather than kept as a table.
 */

/** The value that is drawn darkest; twice the limit is drawn brightest. As in the reports. */
export const COLD = -1;

/**
 * Oklab to sRGB.
 * @param {number} lightness
 * @param {number} a
 * @param {number} b
 * @returns {[number, number, number]} 0 to 255
 */
export function oklab(lightness, a, b) {
  const l = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3;
  const m = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3;
  const s = (lightness - 0.0894841775 * a - 1.291485548 * b) ** 3;
  const linear = [
    4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s,
    -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s,
    -0.0041960863 * l - 0.7034186147 * m + 1.707614701 * s,
  ];
  const [red, green, blue] = linear.map((value) => {
    const clipped = Math.min(1, Math.max(0, value));
    const encoded = clipped <= 0.0031308 ? 12.92 * clipped : 1.055 * clipped ** (1 / 2.4) - 0.055;
    return Math.round(255 * encoded);
  });
  return [red, green, blue];
}

/** @returns {Uint8ClampedArray} 256 colours, RGBA */
function ramp() {
  const colours = new Uint8ClampedArray(256 * 4);
  for (let i = 0; i < 256; i++) {
    const t = i / 255;
    const chroma = t < 0.5 ? -0.115 + 0.2 * t : -0.015 + 0.35 * (t - 0.5); // blue, grey in the middle, yellow
    colours.set([...oklab(0.24 + 0.68 * t, -0.01, chroma), 255], 4 * i);
  }
  return colours;
}

export const RAMP = ramp();

/** The ramp as a picture of 256 x 1. @param {HTMLCanvasElement} canvas */
export function drawRamp(canvas) {
  const picture = new ImageData(256, 1);
  picture.data.set(RAMP);
  canvas.getContext("2d")?.putImageData(picture, 0, 0);
}

/** The strength at first: what is usual lets the picture below through. */
export const USUAL_STRENGTH = 0.7;

/** What is above the limit is never fainter than this, unless the heat is switched off. */
export const LEAST_ABOVE = 0.85;

/**
 * @typedef {object} Scale
 * @property {number} reject the score above which a part is rejected; twice it is drawn brightest
 * @property {number} limit above which pixels stand out
 * @property {number} strength 0 to 1
 */

/**
 * A map as a picture to lay over another one. The shader of the 3D view does the same.
 * @param {Float32Array} values
 * @param {number} width
 * @param {number} height
 * @param {Scale} scale
 * @returns {ImageData}
 */
export function heatPicture(values, width, height, { reject, limit, strength }) {
  const picture = new ImageData(width, height);
  const pixels = new Uint32Array(picture.data.buffer);
  const usual = table((t) => opacity(t, strength));
  const above = table((t) => (strength > 0 ? Math.max(LEAST_ABOVE, opacity(t, strength)) : 0));
  const factor = 256 / (Math.max(2 * reject, COLD + 1) - COLD);
  for (let i = 0; i < values.length; i++) {
    const at = (values[i] - COLD) * factor;
    const level = at < 0 ? 0 : at > 255 ? 255 : at | 0;
    pixels[i] = values[i] > limit ? above[level] : usual[level];
  }
  return picture;
}

/** @param {(t: number) => number} opaque by level, 0 to 1 */
function table(opaque) {
  const colours = new Uint8ClampedArray(RAMP);
  for (let i = 0; i < 256; i++) colours[4 * i + 3] = Math.round(255 * opaque(i / 255));
  return new Uint32Array(colours.buffer);
}

/**
 * How much of the heat is seen at a level: what is usual is seen through, but near full strength it is covered too.
 * @param {number} t 0 to 1
 * @param {number} strength 0 to 1
 */
function opacity(t, strength) {
  const least = Math.max(0, (strength - USUAL_STRENGTH) / (1 - USUAL_STRENGTH));
  return strength * Math.max(least, Math.min(1, 2 * t) ** 1.5);
}
