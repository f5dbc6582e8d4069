// @ts-check
/** The views of one part: pictures, maps over them, and 3D; one cursor, one detail, one limit for all. */

import { Brush } from "../brush.js";
import { contour, outline } from "../contour.js";
import { fill, h, icon } from "../dom.js";
import { GoodPart } from "../good-part.js";
import { USUAL_STRENGTH, drawRamp, heatPicture } from "../heat.js";
import { differencePicture } from "../heights.js";
import { num, t } from "../i18n.js";
import { sourceName } from "../streams.js";
import { Linked } from "../linked.js";
import { message } from "../messages.js";
import { Looks, drawable, homeDetail, mainImage, maskOf } from "../looks.js";
import { MapView } from "../mapview.js";
import { choice, empty, fault } from "../widgets.js";

/** @typedef {import("../types.js").Inspection} Inspection */
/** @typedef {{ kind: "image" | "heat" | "good" | "difference", name: string }} Content good, difference: of the nearest good part */

const JOINED_AT_FIRST = 150000; // points; more of them as a surface take a computer without a graphics card too long

const HIDDEN_MS = 2000; // a hidden tab draws nothing: nobody waits for it longer than this

export class PartViews {
  /** @param {Inspection} part */
  constructor(part) {
    this.part = part;
    this.looks = new Looks(part);
    const { height, width } = this.looks.size;
    this.linked = new Linked(height, width, homeDetail(part));
    this.limit = part.pixel_threshold ?? part.reject_above;
    this.strength = USUAL_STRENGTH;
    /** @type {{ limit: number, lines: Map<string, Float32Array> } | null} */
    this.outlined = null;
    this.brush = new Brush(this.looks.size);
    /** @type {number | undefined} */
    this.brushDrawn = undefined;
    /** @type {Tile[]} */
    this.tiles = [];
    /** @type {import("../viewer3d.js").Viewer3D | null} */
    this.three = null;
    /** @type {import("../decode.js").ScoredCloud | null} */
    this.cloud = null;
    this.good = new GoodPart(part, this.looks);
    /** What a person marked before. @type {Float32Array | null} */
    this.saved = null;
    /** Settled when 3D is shown, cannot be, or there is none. */
    this.threeShown = Promise.resolve();
    this.gone = false;
    this.element = h("div", { class: "views" });
    if (part.decision === "invalid") {
      this.element.append(h("div", { class: "fault wide" }, icon("invalid"), h("div", {}, h("strong", {}, t("part.invalid")), h("p", {}, message(part.reason ?? "")))));
    }
    if (part.pruned || !part.images.length || !part.frame) {
      this.element.append(h("div", { class: "panel wide" }, empty("part", t("part.no_picture"), part.pruned ? t("part.pruned") : "")));
      return;
    }
    // asked for first, as it takes longest; what is neither colour nor heat waits until it is shown
    const three = part.has_cloud && this.#makeThree();
    for (const [index, content] of this.#first().entries()) this.tiles.push(new Tile(this, index, content));
    this.element.append(...this.tiles.map((tile) => tile.element));
    if (three) this.element.append(three);
    this.element.dataset.count = String(this.element.children.length);
  }

  destroy() {
    this.looks.destroy();
    this.good.destroy();
    for (const tile of this.tiles) tile.view.destroy();
    this.three?.destroy();
    this.three = null;
    this.gone = true;
  }

  /** What the tiles show at first. @returns {Content[]} */
  #first() {
    const { part } = this;
    const others = part.images.filter((name) => name !== mainImage(part) && name !== "xyz");
    /** @type {Content[]} */
    const wanted = [{ kind: "image", name: part.images[0] }];
    if (part.maps.includes("fused")) wanted.push({ kind: "heat", name: "fused" });
    if (others.length) wanted.push({ kind: "image", name: others[0] });
    else if (part.images.length > 1) wanted.push({ kind: "image", name: part.images[1] });
    return wanted;
  }

  /** All that a tile can show. @returns {Content[]} */
  get contents() {
    return [
      ...this.part.images.map((name) => /** @type {Content} */ ({ kind: "image", name })),
      ...this.part.maps.map((name) => /** @type {Content} */ ({ kind: "heat", name })),
      { kind: "good", name: "" },
      ...(this.part.has_cloud ? [/** @type {Content} */ ({ kind: "difference", name: "" })] : []),
    ];
  }

  /** @param {{ limit?: number, strength?: number }} look */
  look(look) {
    if (look.limit !== undefined) this.limit = look.limit;
    if (look.strength !== undefined) this.strength = look.strength;
    for (const tile of this.tiles) void tile.draw();
    this.three?.look(look);
  }

  /**
   * The outline of a map at the limit shown, which several tiles have in common.
   * @param {string} name
   * @param {Float32Array} values
   */
  contourOf(name, values) {
    const { height, width } = this.looks.size;
    if (this.outlined?.limit !== this.limit) this.outlined = { limit: this.limit, lines: new Map() };
    const known = this.outlined.lines.get(name) ?? contour(values, width, height, this.limit);
    this.outlined.lines.set(name, known);
    return known;
  }

  goHome() {
    this.linked.goHome();
    this.three?.orbit.home();
  }

  /**
   * Lets a finger or the mouse mark pixels in every view.
   * @param {boolean} on
   */
  paint(on) {
    for (const tile of this.tiles) tile.view.onpaint = on ? (pixel) => this.#mark(pixel) : null;
    this.element.classList.toggle("painting", on);
  }

  clearBrush() {
    this.brush.clear();
    for (const tile of this.tiles) tile.view.show({ marked: this.saved });
  }

  /**
   * The mark of a verdict, until one draws anew.
   * @param {number | null} verdict its identifier; null hides it
   */
  async showMark(verdict) {
    const { height, width } = this.looks.size;
    this.saved = verdict === null ? null : outline(await maskOf(verdict), width, height);
    for (const tile of this.tiles) tile.view.show({ marked: this.saved });
  }

  /**
   * Hands every place that is tapped to someone.
   * @param {((pixel: import("../linked.js").Pixel) => void) | null} take
   */
  picking(take) {
    for (const tile of this.tiles) tile.view.onpick = take;
    if (this.three) this.three.onpick = take;
    this.element.classList.toggle("picking", take !== null);
  }

  /** @param {import("../linked.js").Pixel[] | null} ends of the ruler */
  ruler(ends) {
    for (const tile of this.tiles) tile.view.show({ ruler: ends });
    this.three?.ruler(ends);
  }

  /** @param {import("../linked.js").Pixel} pixel */
  #mark(pixel) {
    this.brush.dab(pixel);
    this.brushDrawn ??= requestAnimationFrame(() => {
      this.brushDrawn = undefined;
      const marked = this.brush.outline();
      for (const tile of this.tiles) tile.view.show({ marked });
    });
  }

  #makeThree() {
    const place = h("div", { class: "view-place" }, h("div", { class: "empty" }, t("loading")));
    const shape = h("span", { class: "row" });
    const surface = choice(t("part.surface"), /** @type {const} */ ([["heat", t("part.surface.heat")], ["colour", t("part.surface.colour")], ["height", t("part.surface.height")]]),
      "heat", (value) => {
        this.three?.look({ surface: value });
        scale.hidden = value !== "height";
      }, "slim");
    const scale = h("div", { class: "height-scale", hidden: true });
    /** @type {HTMLElement} */
    const tile = h("section", { class: "panel tile-view tile-3d", "aria-label": t("part.three") },
      h("header", {}, h("h2", {}, t("part.three")), h("span", { class: "grow" }), surface, shape, enlarge(() => tile)), place);
    this.threeShown = this.#fillThree(place, shape, scale);
    return tile;
  }

  /**
   * @param {HTMLElement} place
   * @param {HTMLElement} shape where the choice between points and surface goes
   * @param {HTMLElement} scale of heights
   */
  async #fillThree(place, shape, scale) {
    try {
      const [{ Viewer3D }, cloud] = await Promise.all([import("../viewer3d.js"), this.looks.cloud()]);
      if (this.gone) return;
      this.cloud = cloud;
      let three;
      try {
        three = new Viewer3D(this.linked, cloud, t("part.three_label", { part: this.part.part }));
      } catch (error) {
        console.warn(error);
        fill(place, empty("part", t("part.three_failed")));
        return;
      }
      this.three = three;
      three.look({ limit: this.limit, reject: this.part.reject_above, strength: this.strength });
      const joined = cloud.pixels.length <= JOINED_AT_FIRST;
      if (joined) three.join(true);
      fill(shape, choice(t("part.shape"), /** @type {const} */ ([["points", t("part.points")], ["joined", t("part.joined")]]),
        joined ? "joined" : "points", (value) => three.join(value === "joined"), "slim"));
      const shown = new Promise((resolve) => (three.onFirst = () => resolve(undefined)));
      const ramp = h("canvas", { class: "ramp", width: 256, height: 1, "aria-hidden": "true" });
      drawRamp(ramp);
      const ends = three.heights.map((metres) => `${num(1000 * metres, 1, 1)} mm`);
      fill(scale, h("span", {}, ends[0]), ramp, h("span", {}, ends[1]));
      fill(place, three.element, scale);
      await Promise.race([shown, new Promise((resolve) => setTimeout(resolve, HIDDEN_MS))]);
    } catch (error) {
      if (!this.gone) fill(place, fault(error, () => void this.#fillThree(place, shape, scale)));
    }
  }
}

class Tile {
  /**
   * @param {PartViews} views
   * @param {number} index
   * @param {Content} content
   */
  constructor(views, index, content) {
    this.views = views;
    this.content = content;
    this.place = h("div", { class: "view-place" });
    this.note = h("p", { class: "view-note" });
    this.view = new MapView(views.linked, this.label);
    this.place.append(this.view.element, this.note);
    const { contents } = views;
    const chosen = h("select", { class: "slim", "aria-label": t("part.view", { n: index + 1 }), onchange: () => {
      this.content = contents[Number(chosen.value)];
      this.view.label = this.label;
      void this.draw();
    } }, contents.map((one, at) => h("option", { value: at, selected: one.kind === content.kind && one.name === content.name }, contentName(one))));
    /** @type {HTMLElement} */
    this.element = h("section", { class: "panel tile-view", "aria-label": t("part.view", { n: index + 1 }) },
      h("header", {}, chosen, h("span", { class: "grow" }), enlarge(() => this.element)), this.place);
    if (index < 2) void this.draw();
    else void views.threeShown.then(() => this.draw());
  }

  get label() {
    return t("part.picture_label", { part: this.views.part.part, name: contentName(this.content) });
  }

  async draw() {
    const { content, views } = this;
    const { height, width } = views.looks.size;
    const { limit, strength } = views;
    if (content.kind === "good" || content.kind === "difference") {
      await this.#drawGood(content);
      return;
    }
    this.note.textContent = "";
    try {
      const name = content.kind === "image" ? content.name : mainImage(views.part);
      const map = content.kind === "heat" ? content.name : views.part.maps.includes("fused") ? "fused" : null;
      const [picture, values] = await Promise.all([name ? views.looks.image(name) : null, map ? views.looks.map(map) : null]);
      if (views.gone || content !== this.content || limit !== views.limit || strength !== views.strength) return;
      this.view.show({
        picture,
        heat: content.kind === "heat" && values ? drawable(heatPicture(values, width, height, { reject: views.part.reject_above, limit, strength })) : null,
        contour: values && views.contourOf(/** @type {string} */ (map), values),
      });
      if (!this.view.element.isConnected) fill(this.place, this.view.element, this.note);
    } catch (error) {
      if (!views.gone) fill(this.place, fault(error, () => void this.draw()));
    }
  }

  /** @param {Content} content */
  async #drawGood(content) {
    const { views } = this;
    const { height, width } = views.looks.size;
    try {
      const good = await views.good.part();
      if (!good) {
        if (!views.gone) fill(this.place, empty("part", t("record.no_good"), t("record.no_good_text")));
        return;
      }
      const apart = content.kind === "difference" ? await views.good.difference() : null;
      const picture = apart ? drawable(differencePicture(apart.values, width, height, apart.most)) : await views.good.picture();
      if (views.gone || content !== this.content) return;
      this.note.textContent = apart ? t("record.difference_named", { part: good.part, mm: num(1000 * apart.most, 2) }) : t("record.good_named", { part: good.part });
      this.view.show({ picture, heat: null, contour: null });
      if (!this.view.element.isConnected) fill(this.place, this.view.element, this.note);
    } catch (error) {
      if (!views.gone) fill(this.place, fault(error, () => void this.draw()));
    }
  }
}

/** @param {Content} content */
export function contentName(content) {
  if (content.kind === "good" || content.kind === "difference") return t(`record.${content.kind}`);
  const name = content.name === "fused" ? t("part.fused") : sourceName(content.name);
  return content.kind === "heat" ? t("part.heat_of", { name }) : name;
}

/**
 * A button that gives one view the whole place, and back.
 * @param {() => HTMLElement} tile
 */
function enlarge(tile) {
  const button = h("button", { class: "bare slim square", "aria-pressed": "false", "aria-label": t("part.expand"), title: t("part.expand"), onclick: () => {
    const all = tile().parentElement;
    const on = tile().classList.toggle("alone");
    all?.classList.toggle("one", on);
    button.setAttribute("aria-pressed", String(on));
    button.title = t(on ? "part.shrink" : "part.expand");
    button.setAttribute("aria-label", button.title);
    fill(button, icon(on ? "shrink" : "expand"));
  } }, icon("expand"));
  return button;
}
