// @ts-check
/** A class of parts is taught: good parts, a first detector, a network, and into service. */

import { get, send } from "../api.js";
import { App, link } from "../app.js";
import { fill, h, icon } from "../dom.js";
import { t } from "../i18n.js";
import { ask, empty, fault, field } from "../widgets.js";
import { checkPanel } from "./teach-check.js";
import { PartsPanel } from "./teach-parts.js";
import { regionPanel } from "./teach-region.js";
import { STEPS, jobsOf, jobsPanel, latestOf, trainPanel } from "./teach-train.js";
import { trialPanel } from "./teach-trial.js";

/** @typedef {import("../types.js").TaughtClass} TaughtClass */
/** @typedef {import("../types.js").Job} Job */

/** @type {import("../app.js").MakePage} */
export function teachPage(app, rest) {
  const page = new TeachPage(app, rest[0] ?? "");
  return { element: page.element, title: t("teach.title"), destroy: () => page.destroy() };
}

class TeachPage {
  /**
   * @param {App} app
   * @param {string} name of the class; "" for the one at hand
   */
  constructor(app, name) {
    this.app = app;
    this.name = name;
    this.may = app.may("engineer");
    this.choice = h("div", { class: "row" });
    this.body = h("div", { class: "stack-wide" }, h("div", { class: "panel empty" }, t("loading")));
    this.element = h("div", { class: "page teach" },
      h("div", { class: "page-head" }, h("h1", {}, t("teach.title")), this.choice, h("span", { class: "grow" }),
        this.may ? h("button", { onclick: () => this.#newClass() }, icon("teach"), t("teach.new")) : h("p", { class: "small quiet" }, t("teach.engineer"))),
      this.body);
    /** @type {TaughtClass | undefined} */
    this.taught = undefined;
    this.parts = new PartsPanel(app, () => void this.read());
    this.steps = h("div", { class: "stack-wide teach-steps" });
    this.halves = h("div", { class: "halves" });
    /** @type {Map<string, { shows: string, panel: HTMLElement }>} */
    this.panels = new Map();
    this.stop = new AbortController();
    this.ends = [
      app.live.on("changed", (change) => (change.what === "teaching" || change.what === "model") && void this.read()),
      app.live.on("job", (job) => this.#heard(job)),
      app.live.on("connection", (state) => state === "open" && void this.read()),
    ];
    void this.read();
  }

  destroy() {
    this.stop.abort();
    this.parts.destroy();
    for (const end of this.ends) end();
  }

  async read() {
    const { signal } = this.stop;
    try {
      /** @type {{ classes: TaughtClass[] }} */
      const { classes } = await get("/v1/teaching", {}, signal);
      const names = classes.map((one) => one.name);
      const wanted = [this.name, this.app.className].find((name) => names.includes(name)) ?? names[0];
      this.taught = classes.find((one) => one.name === wanted);
      fill(this.choice, names.length > 0 && h("select", { "aria-label": t("teach.class"), onchange: (/** @type {Event} */ event) => {
        location.hash = link("teach", /** @type {any} */ (event.target).value);
      } }, names.map((name) => h("option", { value: name, selected: name === wanted }, name))));
      this.#draw();
    } catch (error) {
      if (!signal.aborted) fill(this.body, h("div", { class: "panel" }, fault(error, () => void this.read())));
    }
  }

  #draw() {
    const { taught } = this;
    if (!taught) {
      fill(this.body, h("div", { class: "panel" }, empty("teach", t("teach.first"), t("teach.first_text")),
        this.may && h("div", { class: "body row centred" }, h("button", { class: "main", onclick: () => this.#newClass() }, icon("teach"), t("teach.new")))));
      return;
    }
    if (!this.body.contains(this.steps)) fill(this.body, this.steps);
    this.parts.show(taught);
    const { app } = this;
    const halves = STEPS.filter((step) => taught[step] !== null).map((step) => this.#kept(step, [latestOf(taught, step)], () => trainPanel(app, taught, step)));
    arrange(this.halves, halves);
    arrange(this.steps, [
      this.parts.element,
      this.#kept("check", [jobsOf(taught, "check")[0]], () => checkPanel(app, taught, () => void this.read())),
      ...(taught.frame ? [this.#kept("region", [], () => regionPanel(app, taught), [taught.frame, taught.inspect, taught.ignore])] : []),
      this.halves,
      this.#kept("trial", [...jobsOf(taught, "train"), jobsOf(taught, "trial")[0]], () => trialPanel(app, taught)),
      this.#kept("jobs", taught.jobs, () => jobsPanel(app, taught)),
    ]);
  }

  /**
   * A panel as it was, with what was typed and opened there, unless what it shows has changed.
   * @param {string} name
   * @param {(Job | undefined)[]} jobs
   * @param {() => HTMLElement} make
   * @param {unknown} [more] that it shows
   */
  #kept(name, jobs, make, more) {
    const { taught } = this;
    const shows = JSON.stringify([taught?.name, taught?.missing, more, jobs.map((job) => job && [job.id, job.state])]);
    const before = this.panels.get(name);
    if (before?.shows === shows) return before.panel;
    const panel = make();
    this.panels.set(name, { shows, panel });
    return panel;
  }

  /** @param {Job} job */
  #heard(job) {
    if (!this.taught || job.class !== this.taught.name) return;
    const before = this.taught.jobs.find((one) => one.id === job.id);
    const place = this.element.querySelector(`[data-job="${job.id}"]`);
    if (before && before.state === job.state && place) {
      Object.assign(before, job);
      place.dispatchEvent(new CustomEvent("stage", { detail: job }));
    } else {
      void this.read();
    }
  }

  #newClass() {
    const name = h("input", { type: "text", maxlength: 100, required: true });
    const layout = h("select", {}, ["colour and 3D", "colour", "3D"].map((one) => h("option", { value: one }, t(`teach.layout.${one}`))));
    ask({
      title: t("teach.new"),
      act: t("teach.create"),
      body: [field(t("teach.name"), name), field(t("teach.layout"), layout), h("p", { class: "small quiet" }, t("teach.layout_text"))],
      does: async () => {
        const made = await send("POST", "/v1/teaching", { name: name.value.trim(), layout: layout.value });
        this.name = made.name;
        location.hash = link("teach", made.name);
        await this.read();
      },
    });
  }
}

/**
 * Puts elements into a place; what is there already stays, with the focus in it.
 * @param {HTMLElement} place
 * @param {HTMLElement[]} elements
 */
function arrange(place, elements) {
  if (elements.length !== place.children.length || elements.some((element, index) => place.children[index] !== element)) fill(place, elements);
}
