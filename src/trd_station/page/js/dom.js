// @ts-check
/** Elements without a framework. Text stays text: nothing here ever parses markup. */

const SVG = "http://www.w3.org/2000/svg";

/**
 * @typedef {Node | string | number | null | undefined | false} Child
 * @typedef {Record<string, any>} Props
 */

/**
 * An element. Props: `class`; `style` as an object (set by script, as the content policy allows no style attributes);
 * `onX` listeners; `value`, `checked`, `disabled` and the like as properties; the rest as attributes. False and
 * null leave an attribute out.
 * @template {keyof HTMLElementTagNameMap} T
 * @param {T} tag
 * @param {Props} [props]
 * @param {...(Child | Child[])} children
 * @returns {HTMLElementTagNameMap[T]}
 */
export function h(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) set(element, name, value);
  append(element, children);
  return element;
}

const AS_PROPERTY = new Set(["value", "checked", "disabled", "selected", "hidden", "htmlFor", "tabIndex", "open"]);

/**
 * @param {HTMLElement} element
 * @param {string} name
 * @param {any} value
 */
function set(element, name, value) {
  if (value === null || value === undefined) return;
  if (name === "style") {
    for (const [key, one] of Object.entries(value)) element.style.setProperty(key, String(one));
  } else if (name.startsWith("on")) {
    element.addEventListener(name.slice(2), value);
  } else if (AS_PROPERTY.has(name)) {
    /** @type {any} */ (element)[name] = value;
  } else if (value !== false) {
    element.setAttribute(name, value === true ? "" : String(value));
  }
}

/**
 * @param {Element} element
 * @param {(Child | Child[])[]} children
 */
export function append(element, children) {
  for (const child of children.flat()) {
    if (child === null || child === undefined || child === false) continue;
    element.append(child instanceof Node ? child : String(child));
  }
}

/**
 * Puts other children in place of the present ones.
 * @param {Element} element
 * @param {...(Child | Child[])} children
 */
export function fill(element, ...children) {
  element.replaceChildren();
  append(element, children);
}

/**
 * An SVG element with attributes.
 * @param {string} tag
 * @param {Record<string, string | number>} [attributes]
 * @param {...Node} children
 * @returns {SVGElement}
 */
export function svg(tag, attributes = {}, ...children) {
  const element = /** @type {SVGElement} */ (document.createElementNS(SVG, tag));
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  element.append(...children);
  return element;
}

/**
 * To draw on a canvas with the processor: where there is no graphics card, drawing through a simulated one takes ten times
 * as long, and where there is one, pictures of this size are as quick.
 * @template {HTMLCanvasElement | OffscreenCanvas} C
 * @param {C} canvas
 * @returns {C extends OffscreenCanvas ? OffscreenCanvasRenderingContext2D : CanvasRenderingContext2D}
 */
export function pen(canvas) {
  return /** @type {any} */ (canvas.getContext("2d", { willReadFrequently: true }));
}

/** Own drawings on a 24 x 24 grid, one stroke width; several paths are joined. */
const ICONS = {
  line: "M3 17h18M6 17v-6h5v6M13 17V7h6v10M5 21a1 1 0 1 0 0-.1M12 21a1 1 0 1 0 0-.1M19 21a1 1 0 1 0 0-.1",
  part: "M12 3l8 4.5v9L12 21l-8-4.5v-9zM4 7.5l8 4.5 8-4.5M12 12v9",
  history: "M4 6h16M4 12h16M4 18h10",
  review: "M2.5 12S6 5.5 12 5.5 21.5 12 21.5 12 18 18.5 12 18.5 2.5 12 2.5 12zM12 9a3 3 0 1 0 .01 0",
  threshold: "M4 20V14M8 20V8M12 20V5M16 20v-9M20 20v-4M3 20h18M14 2.5v19",
  watch: "M3 13h4l2.5-7 4 13 2.5-8 1.5 2H21",
  administration: "M4 7h9M17 7h3M15 5v4M4 17h3M11 17h9M9 15v4M4 12h11M19 12h1M17 10v4",
  models: "M12 3l9 5-9 5-9-5zM3 12.5l9 5 9-5M3 17l9 5 9-5",
  teach: "M2 9.5L12 4.5l10 5-10 5zM6 11.5v5c0 1.4 2.7 3 6 3s6-1.6 6-3v-5M22 9.5v6",
  ok: "M5 12.5l5 5L19.5 7",
  reject: "M6 6l12 12M18 6L6 18",
  question: "M8.5 9a3.5 3.5 0 1 1 5 3.2c-1 .5-1.5 1.2-1.5 2.3M12 18.5v.1",
  invalid: "M12 4l9 16H3zM12 10v4.5M12 17v.1",
  sun: "M12 8a4 4 0 1 0 .01 0M12 2.5v2M12 19.5v2M2.5 12h2M19.5 12h2M5.3 5.3l1.4 1.4M17.3 17.3l1.4 1.4M5.3 18.7l1.4-1.4M17.3 6.7l1.4-1.4",
  moon: "M20 14.5A8.5 8.5 0 0 1 9.5 4a8.5 8.5 0 1 0 10.5 10.5z",
  left: "M15 5l-7 7 7 7",
  right: "M9 5l7 7-7 7",
  expand: "M4 9V4h5M20 9V4h-5M4 15v5h5M20 15v5h-5",
  shrink: "M9 4v5H4M15 4v5h5M9 20v-5H4M15 20v-5h5",
  home: "M4 11l8-7 8 7M6 9.5V20h12V9.5",
  download: "M12 4v11M7 10.5l5 5 5-5M4 20h16",
  upload: "M12 16V4M7 8.5l5-5 5 5M4 20h16",
  lock: "M6 11h12v9H6zM8.5 11V8a3.5 3.5 0 0 1 7 0v3",
  ruler: "M3 16.5L16.5 3 21 7.5 7.5 21zM7 12.5l2 2M10 9.5l2 2M13 6.5l2 2",
  brush: "M4 20c3 0 5-1 5-3.5a2.5 2.5 0 0 0-5-.2C4 18 3.5 19 4 20zM9 14.5L19.5 4",
};

/**
 * @param {keyof typeof ICONS} name
 * @returns {SVGElement}
 */
export function icon(name) {
  return svg("svg", { viewBox: "0 0 24 24", class: "icon", "aria-hidden": "true" }, svg("path", { d: ICONS[name] }));
}
