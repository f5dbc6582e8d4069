// @ts-check
/** The region of interest, drawn on a good part: polygons in which defects count, and polygons in which nothing does. */

import { get, send } from "../api.js";
import { App } from "../app.js";
import { fill, h, icon, svg } from "../dom.js";
import { t } from "../i18n.js";
import { choice, fault, field, toast } from "../widgets.js";
import { ofTaught, picturePath } from "./teach-parts.js";

/** @typedef {import("../types.js").TaughtClass} TaughtClass */
/** @typedef {[number, number][]} Polygon corners, [x, y] in pixels of the frame */
/** @typedef {"inspect" | "ignore"} Kind */

const NEAR = 12; // CSS pixels within which the first corner closes a polygon

/**
 * @param {App} app
 * @param {TaughtClass} taught
 */
export function regionPanel(app, taught) {
  const panel = new RegionPanel(app, taught);
  return panel.element;
}

class RegionPanel {
  /**
   * @param {App} app
   * @param {TaughtClass} taught
   */
  constructor(app, taught) {
    this.app = app;
    this.taught = taught;
    /** @type {Record<Kind, Polygon[]>} */
    this.polygons = { inspect: [...taught.inspect], ignore: [...taught.ignore] };
    /** @type {Kind} */
    this.kind = "inspect";
    /** @type {Polygon} */
    this.open = [];
    const { height, width } = taught.frame ?? { height: 1, width: 1 };
    this.picture = h("img", { alt: t("teach.region_picture"), class: "region-picture" });
    this.drawing = svg("svg", { viewBox: `0 0 ${width} ${height}`, class: "region-drawing" });
    this.drawing.addEventListener("click", (event) => this.#corner(/** @type {MouseEvent} */ (event)));
    this.numbers = h("textarea", { rows: 3, spellcheck: false, onchange: () => this.#typed() });
    this.problem = h("div", { "aria-live": "assertive" });
    const may = app.may("engineer");
    this.element = h("section", { class: "panel region-panel" }, h("header", {}, h("h2", {}, t("teach.region")), h("span", { class: "grow" }),
      may && h("button", { onclick: () => void this.#keep() }, t("teach.region_keep"))),
    h("div", { class: "body stack" }, h("p", { class: "small quiet" }, t("teach.region_text")), this.problem,
      may && h("div", { class: "row wrap" },
        choice(t("teach.region_kind"), /** @type {const} */ ([["inspect", t("teach.region_inspect")], ["ignore", t("teach.region_ignore")]]), this.kind, (kind) => { this.kind = kind; }),
        h("button", { class: "slim", onclick: () => this.#close() }, t("teach.region_close")),
        h("button", { class: "slim", onclick: () => this.#back() }, icon("left"), t("teach.region_back"))),
      h("div", { class: "region" }, this.picture, this.drawing),
      h("details", {}, h("summary", {}, t("teach.region_numbers")), field(t("teach.region_numbers_text"), this.numbers))));
    void this.#load();
    this.#draw();
  }

  async #load() {
    try {
      /** @type {{ parts: { name: string }[] }} */
      const { parts } = await get(`${ofTaught(this.taught.name)}/parts`);
      if (parts.length) this.picture.src = picturePath(this.taught.name, parts[0].name, this.taught.sources[0].name, 2048);
    } catch (error) {
      fill(this.problem, fault(error));
    }
  }

  /** @param {MouseEvent} event */
  #corner(event) {
    if (!this.app.may("engineer")) return;
    const box = this.drawing.getBoundingClientRect();
    const { height, width } = this.taught.frame ?? { height: 1, width: 1 };
    const scale = width / box.width;
    const at = /** @type {[number, number]} */ ([(event.clientX - box.left) * scale, ((event.clientY - box.top) * height) / box.height].map((value) => Math.round(10 * value) / 10));
    const [first] = this.open;
    if (this.open.length > 2 && Math.hypot(at[0] - first[0], at[1] - first[1]) < NEAR * scale) this.#close();
    else this.open.push(at);
    this.#draw();
  }

  #close() {
    if (this.open.length > 2) this.polygons[this.kind].push(this.open);
    this.open = [];
    this.#draw();
  }

  /** Takes the last corner away, else the last polygon of the kind. */
  #back() {
    if (this.open.length) this.open.pop();
    else this.polygons[this.kind].pop();
    this.#draw();
  }

  #typed() {
    try {
      const { inspect = [], ignore = [] } = JSON.parse(this.numbers.value);
      this.polygons = { inspect, ignore };
      fill(this.problem);
      this.#draw();
    } catch (error) {
      fill(this.problem, fault(error));
    }
  }

  #draw() {
    const points = (/** @type {Polygon} */ polygon) => polygon.map((corner) => corner.join(",")).join(" ");
    const kinds = /** @type {const} */ (["inspect", "ignore"]);
    fill(this.drawing,
      kinds.map((kind) => this.polygons[kind].map((polygon) => svg("polygon", { points: points(polygon), class: kind }))).flat(),
      svg("polyline", { points: points(this.open), class: this.kind }),
      this.open.map(([x, y]) => svg("circle", { cx: x, cy: y, r: (this.taught.frame?.width ?? 100) / 150 })));
    this.numbers.value = JSON.stringify(this.polygons);
  }

  async #keep() {
    this.#close();
    fill(this.problem);
    try {
      await send("PUT", `${ofTaught(this.taught.name)}/region`, this.polygons);
      toast(t("teach.region_kept"));
    } catch (error) {
      fill(this.problem, fault(error));
    }
  }
}
