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

/**
 * @param {number} value
 * @param {number} limit
 * @returns {number} 0 to 255
 */
export function level(value, limit) {
  const top = Math.max(2 * limit, COLD + 1);
  return Math.min(255, Math.max(0, Math.floor(((value - COLD) * 256) / (top - COLD))));
}

/**
 * A map as a picture to lay over another one.
 * @param {Float32Array} values
 * @param {number} width
 * @param {number} height
 * @param {number} limit
 * @param {number} strength 0 to 1
 * @returns {ImageData}
 */
export function heatPicture(values, width, height, limit, strength) {
  const picture = new ImageData(width, height);
  const pixels = new Uint32Array(picture.data.buffer);
  const table = new Uint32Array(RAMP.buffer.slice(0));
  const colours = new Uint8ClampedArray(table.buffer);
  for (let i = 0; i < 256; i++) colours[4 * i + 3] = Math.round(255 * opacity(i / 255, strength));
  const top = Math.max(2 * limit, COLD + 1);
  const scale = 256 / (top - COLD);
  for (let i = 0; i < values.length; i++) {
    const at = (values[i] - COLD) * scale;
    pixels[i] = table[at < 0 ? 0 : at > 255 ? 255 : at | 0];
  }
  return picture;
}

/**
 * How much of the heat is seen at a level: what is usual lets the picture through, and only near full strength is it covered
 * too. The shader of the 3D view does the same.
 * @param {number} t 0 to 1
 * @param {number} strength 0 to 1
 */
export function opacity(t, strength) {
  const least = Math.max(0, (strength - 0.7) / 0.3);
  return strength * Math.max(least, Math.min(1, t / 0.5) ** 1.5);
}

export const USUAL_STRENGTH = 0.7;
