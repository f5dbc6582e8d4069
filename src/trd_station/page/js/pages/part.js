// @ts-check
/** One part: all its views with one cursor, why it was decided so, and what people say of it. */

import { get, ofPart } from "../api.js";
import { App, link } from "../app.js";
import { fill, h, icon } from "../dom.js";
import { dateTime, t } from "../i18n.js";
import { decisionTag, empty, fault } from "../widgets.js";
import { PartSide } from "./part-side.js";
import { PartViews } from "./part-views.js";

/** @typedef {import("../types.js").Inspection} Inspection */

const AROUND = 20; // parts asked for to find a neighbour: those of one request, up to 16, have the same time

/** @type {import("../app.js").MakePage} */
export function partPage(app, [id]) {
  const page = new PartPage(app, id ? Number(id) : null);
  return { element: page.element, title: t("part.title"), destroy: () => page.destroy() };
}

class PartPage {
  /**
   * @param {App} app
   * @param {number | null} id the newest where null
   */
  constructor(app, id) {
    this.app = app;
    this.id = id;
    this.head = h("div", { class: "page-head" }, h("h1", {}, t("part.title")));
    this.body = h("div", { class: "part-body" }, h("div", { class: "panel empty" }, t("loading")));
    this.element = h("div", { class: "page full part" }, this.head, this.body);
    this.stop = new AbortController();
    this.keys = (/** @type {KeyboardEvent} */ event) => this.#key(event);
    document.addEventListener("keydown", this.keys);
    this.ends = [
      app.live.on("verdict", (verdict) => verdict.inspection === this.part?.id && void this.#reread()),
      app.live.on("inspection", (other) => other.class === this.part?.class && this.#come()),
      app.live.on("connection", (state) => {
        if (state !== "open" || !this.part) return;
        this.#reread().catch((error) => console.info(error)); // left, or lost again
        this.#come();
      }),
    ];
    void this.#read();
  }

  destroy() {
    this.stop.abort();
    document.removeEventListener("keydown", this.keys);
    for (const end of this.ends) end();
    this.views?.destroy();
    this.side?.destroy();
  }

  async #read() {
    const { signal } = this.stop;
    try {
      let { id } = this;
      if (id === null) {
        const { inspections } = await get("/v1/inspections", { class: this.app.className, limit: 1 }, signal);
        if (!inspections.length) {
          fill(this.body, h("div", { class: "panel" }, empty("part", t("part.none"), t("part.none_text"))));
          return;
        }
        id = inspections[0].id;
      }
      /** @type {Inspection} */
      const part = await get(ofPart(/** @type {number} */ (id)), {}, signal);
      if (part.class !== this.app.className && this.app.classes.some((one) => one.name === part.class)) {
        this.app.goTo(part.class);
        return;
      }
      this.part = part;
      this.#draw(part);
      void this.#neighbours(part);
    } catch (error) {
      if (signal.aborted) return;
      fill(this.body, fault(error, () => void this.#read()));
    }
  }

  async #reread() {
    if (!this.part) return;
    /** @type {Inspection} */
    const part = await get(ofPart(this.part.id), {}, this.stop.signal);
    this.part = part;
    this.side?.verdicts(part);
  }

  /** @param {Inspection} part */
  #draw(part) {
    this.newer = h("button", { class: "square", disabled: true, title: t("part.newer"), "aria-label": t("part.newer") }, icon("left"));
    this.older = h("button", { class: "square", disabled: true, title: t("part.older"), "aria-label": t("part.older") }, icon("right"));
    fill(this.head, h("h1", { class: "break" }, part.part), decisionTag(part.decision),
      h("span", { class: "quiet" }, `${dateTime(part.at)} · ${part.class} · ${t("history.id")} ${part.id}`),
      h("span", { class: "grow" }), h("a", { class: "button", href: link("report", part.id) }, t("record.report")), h("div", { class: "row" }, this.newer, this.older));
    this.views = new PartViews(part);
    this.side = new PartSide(this.app, part, this.views, () => this.#reread());
    fill(this.body, this.views.element, this.side.element);
  }

  /**
   * Which parts come before and after; the buttons stay dead where there is none.
   * @param {Inspection} part
   */
  async #neighbours(part) {
    const { signal } = this.stop;
    const around = async (/** @type {object} */ query) => (await get("/v1/inspections", { class: part.class, limit: AROUND, ...query }, signal)).inspections;
    const justAfter = new Date(Date.parse(part.at) + 1).toISOString();
    try {
      const [later, earlier] = await Promise.all([around({ since: part.at, order: "oldest" }), around({ until: justAfter })]);
      const next = later.find((/** @type {Inspection} */ one) => one.id > part.id);
      const before = earlier.find((/** @type {Inspection} */ one) => one.id < part.id);
      for (const [button, other] of /** @type {[HTMLButtonElement, Inspection | undefined][]} */ ([[this.newer, next], [this.older, before]])) {
        if (!other) continue;
        button.disabled = false;
        button.onclick = () => (location.hash = link("part", other.id));
      }
    } catch (error) {
      if (!signal.aborted) console.warn(error); // the part itself is shown; its neighbours can be found in the history
    }
  }

  /** A newer part may be there now. */
  #come() {
    if (this.part && this.newer?.disabled) void this.#neighbours(this.part);
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || /INPUT|TEXTAREA|SELECT/.test(/** @type {Element} */ (event.target).tagName)) return;
    const button = event.key === "PageUp" ? this.newer : event.key === "PageDown" ? this.older : null;
    if (!button || button.disabled) return;
    event.preventDefault();
    button.click();
  }
}
