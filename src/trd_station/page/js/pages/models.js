// @ts-check
/** The models of the class: which one serves, which could, and whether they passed their self-test. */

import { get, ofClass, send } from "../api.js";
import { App } from "../app.js";
import { fill, h, icon } from "../dom.js";
import { dateTime, num, percent, t } from "../i18n.js";
import { message } from "../messages.js";
import { ask, empty, fault, field, into, toast } from "../widgets.js";
import { LessonsPanel } from "./models-lessons.js";
import { sendDialog } from "./models-send.js";
import { readShadow, shadowPanel, shadowPath } from "./models-shadow.js";

/** @typedef {import("../types.js").Model} Model */
/** @typedef {{ models: Model[], found: { name: string, class: string, detector: string }[], roll_back: number | null }} Models */

const ORDER = ["serving", "ready", "failed", "retired"];
const TAGS = { serving: "ok", ready: "review", failed: "reject", retired: "" };

/** @type {import("../app.js").MakePage} */
export function modelsPage(app) {
  const page = new ModelsPage(app);
  return { element: page.element, title: t("models.title"), destroy: () => page.destroy() };
}

class ModelsPage {
  /** @param {App} app */
  constructor(app) {
    this.app = app;
    this.may = app.may("engineer");
    this.list = h("div", { class: "stack-wide" }, h("div", { class: "panel empty" }, t("loading")));
    this.problem = h("div", { "aria-live": "assertive" });
    this.lessons = new LessonsPanel(app);
    this.back = h("button", { hidden: true, onclick: () => this.#rollBack() }, icon("left"), t("models.roll_back"));
    this.element = h("div", { class: "page models" },
      h("div", { class: "page-head" }, h("h1", {}, t("models.title")), h("span", { class: "grow" }),
        this.may && h("button", { onclick: () => sendDialog(this.app.className, (name) => this.#sent(name)) }, icon("upload"), t("models.send")),
        this.may ? this.back : h("p", { class: "small quiet" }, t("models.engineer"))),
      this.problem, this.lessons.element, this.list);
    this.ends = [app.live.on("changed", (change) => change.what === "model" && this.#read())];
    this.#read();
  }

  destroy() {
    this.lessons.destroy();
    for (const end of this.ends) end();
  }

  #read() {
    const { className } = this.app;
    void into(this.list, () => Promise.all([get("/v1/models", { class: className }), readShadow(className)]), ([{ models, found, roll_back: before }, shadow]) => {
      this.back.hidden = before === null;
      const sorted = [.../** @type {Model[]} */ (models)].sort((one, other) => ORDER.indexOf(one.state) - ORDER.indexOf(other.state) || other.id - one.id);
      return [
        shadowPanel(this.app, shadow, () => this.#read()),
        ...(sorted.length ? sorted.map((model) => this.#model(model)) : [h("div", { class: "panel" }, empty("models", t("models.empty")))]),
        h("section", { class: "panel" }, h("header", {}, h("h2", {}, t("models.found"))),
          found.length ? h("ul", { class: "found" }, found.map((/** @type {Models["found"][0]} */ one) => h("li", {}, h("span", { class: "strong break" }, one.name), h("code", { class: "quiet small grow" }, one.detector),
            this.may && h("button", { class: "slim", onclick: (/** @type {Event} */ event) => void this.#load(one.name, /** @type {HTMLButtonElement} */ (event.currentTarget)) }, t("models.load")))))
            : h("p", { class: "body quiet" }, t("models.found_none"))),
      ];
    });
  }

  /** @param {string} className that a package was sent for, which may be new */
  async #sent(className) {
    if (className === this.app.className || !this.app.session.role) return this.#read();
    await this.app.readClasses();
    if (this.app.classes.some((one) => one.name === className)) this.app.goTo(className);
  }

  /** @param {Model} model */
  #model(model) {
    const test = model.self_test;
    const act = (/** @type {string} */ text, /** @type {(button: HTMLButtonElement) => void} */ does, main = false) =>
      h("button", { class: `slim ${main ? "main" : ""}`, onclick: (/** @type {Event} */ event) => does(/** @type {HTMLButtonElement} */ (event.currentTarget)) }, t(text));
    return h("section", { class: `panel model-panel ${model.state}` },
      h("header", {}, h("h2", { class: "break" }, model.name), h("span", { class: `tag ${TAGS[model.state]}` }, t(`models.state.${model.state}`)),
        h("span", { class: "quiet small" }, `${t("history.id")} ${model.id}`), h("span", { class: "grow" }),
        this.may && model.state !== "retired" && act("models.test", (button) => void this.#test(model, button)),
        this.may && model.state === "ready" && act("shadow.begin", (button) => void this.#shadow(model, button)),
        this.may && model.state === "ready" && act("models.switch", () => this.#switch(model), true),
        this.may && model.state === "retired" && act("models.load", (button) => void this.#load(model.name, button))),
      h("div", { class: "body model" },
        h("dl", { class: "facts" },
          // what could not be read has no facts, only the error
          model.promise !== null && fact("models.promise", t("models.promise_text", { rate: percent(model.guaranteed_rate), promise: t(`threshold.${model.promise}`), n: model.good_count ?? 0 })),
          fact("models.inspections", num(model.inspections, 0)),
          model.recipe !== null && fact("models.recipe", `${model.recipe} (${(model.evidence ?? []).join(", ")})`),
          model.engine !== null && fact("models.engine", `${model.engine}, ${model.device}, ${model.precision}`),
          fact("models.detector", h("code", {}, model.detector)),
          model.calibration && fact("models.calibration", h("code", {}, model.calibration)),
          fact("models.at", `${dateTime(model.at)}, ${model.who}`)),
        h("div", { class: "stack" },
          model.error && h("div", { class: "fault" }, icon("invalid"), h("div", {}, message(model.error))),
          test && h("h3", {}, `${t(test.passed ? "models.tested" : "models.test_failed")} · ${dateTime(test.at)} · ${t("models.seconds", { s: num(test.seconds, 1) })}`),
          test && h("ul", { class: "checks" }, test.checks.map((check) => h("li", {}, h("span", { class: `tag ${check.passed ? "ok" : "reject"}` }, icon(check.passed ? "ok" : "reject")),
            h("span", {}, h("b", {}, message(check.name)), " ", h("span", { class: "quiet" }, message(check.detail)))))),
          Object.keys(model.ranges ?? {}).length > 0 && h("details", {}, h("summary", {}, t("models.ranges")),
            h("dl", { class: "facts small" }, Object.entries(model.ranges).map(([name, value]) => [h("dt", {}, message(name)), h("dd", {}, message(value))]).flat())))));
  }

  /**
   * What takes seconds: the button says so, and what went wrong is said above.
   * @param {HTMLButtonElement} button
   * @param {() => Promise<void>} does
   */
  async #long(button, does) {
    const before = button.textContent ?? "";
    button.disabled = true;
    fill(button, t("models.loading"));
    fill(this.problem);
    try {
      await does();
    } catch (error) {
      fill(this.problem, fault(error));
    }
    button.disabled = false;
    fill(button, before);
    this.#read();
  }

  /**
   * @param {string} name
   * @param {HTMLButtonElement} button
   */
  #load(name, button) {
    return this.#long(button, async () => {
      const model = await send("POST", `${ofClass(this.app.className)}/models`, { name });
      toast(t(model.state === "serving" ? "models.switched" : "models.loaded", { name: model.name }));
    });
  }

  /**
   * @param {Model} model
   * @param {HTMLButtonElement} button
   */
  #test(model, button) {
    return this.#long(button, async () => {
      const tested = await send("POST", `/v1/models/${model.id}/self-test`);
      toast(t(tested.self_test?.passed ? "models.tested" : "models.test_failed"));
    });
  }

  /**
   * @param {Model} model
   * @param {HTMLButtonElement} button
   */
  #shadow(model, button) {
    return this.#long(button, async () => {
      await send("PUT", shadowPath(this.app.className), { model: model.id });
      toast(t("shadow.begun", { name: model.name }));
    });
  }

  /** @param {Model} model */
  #switch(model) {
    this.#confirm(t("models.switch"), t("models.switch_text", { name: model.name }), `/v1/models/${model.id}/switch`);
  }

  #rollBack() {
    this.#confirm(t("models.roll_back"), t("models.roll_back_text"), `${ofClass(this.app.className)}/models/roll-back`);
  }

  /**
   * @param {string} title
   * @param {string} text
   * @param {string} path
   */
  #confirm(title, text, path) {
    const reason = h("textarea", { rows: 2, required: true, maxlength: 1000, placeholder: t("reason_hint") });
    ask({
      title,
      act: title,
      body: [h("p", {}, text), field(t("reason"), reason)],
      does: async () => {
        const model = await send("POST", path, { reason: reason.value.trim() });
        toast(t("models.switched", { name: model.name }));
        await this.app.readClasses();
        this.#read();
      },
    });
  }
}

/**
 * @param {string} key
 * @param {import("../dom.js").Child} value
 */
function fact(key, value) {
  return [h("dt", {}, t(key)), h("dd", {}, value)];
}
