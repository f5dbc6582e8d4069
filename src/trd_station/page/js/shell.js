// @ts-check
/** The frame around every page: class, connection, language, theme, who is here, and the way to the pages. */

import { send, signedOut } from "./api.js";
import { App, link, route } from "./app.js";
import { fill, h, icon } from "./dom.js";
import { LANGUAGES, language, t, useLanguage } from "./i18n.js";
import { PAGES } from "./pages.js";
import { inspectDialog } from "./pages/inspect.js";
import { signIn } from "./pages/signin.js";
import { switchTheme, theme } from "./theme.js";
import { empty, fault } from "./widgets.js";

const DAY_MS = 24 * 3600 * 1000;
const RECOUNT_MS = 100; // verdicts may come in bursts

export class Shell {
  /**
   * @param {HTMLElement} root
   * @param {App} app
   */
  constructor(root, app) {
    this.root = root;
    this.app = app;
    this.main = h("main", { id: "main", tabIndex: -1 });
    this.lamp = h("span", { class: "lamp waiting", role: "status" });
    /** @type {import("./app.js").Page | null} */
    this.page = null;
    this.shown = "";
    this.counting = 0;
    app.redraw = () => this.draw();
    signedOut.tell = () => {
      if (!this.root.querySelector(".sign-in")) void this.start(); // else what is typed there would be wiped
    };
    app.goTo = (className) => {
      app.chooseClass(className);
      this.draw();
    };
    window.addEventListener("hashchange", () => this.open());
    app.live.on("connection", (state) => {
      this.#status();
      if (state === "waiting") void this.#stillKnown();
      else app.readClasses().catch((error) => console.info(error)); // lost again: it opens once more
    });
    app.live.on("refused", () => void this.#stillKnown());
    app.live.on("state", () => this.#status());
    app.live.on("changed", () => void app.readClasses());
    for (const kind of /** @type {const} */ (["verdict", "event"])) app.live.on(kind, () => this.#recount());
    // asking renews the cookie, which a display that nobody touches would lose else
    window.setInterval(() => app.session.role && void this.#stillKnown(), DAY_MS);
  }

  /** From the beginning: who is here decides what is shown. */
  async start() {
    this.page?.destroy?.();
    this.page = null;
    try {
      const session = await this.app.readSession();
      if (session.role === null) {
        this.app.live.close();
        this.root.className = "alone";
        fill(this.root, signIn(this.app, () => void this.start()), this.#choices());
        return;
      }
      await this.app.readClasses();
    } catch (error) {
      this.root.className = "alone";
      fill(this.root, h("div", { class: "panel sign-in" }, h("div", { class: "body" }, fault(error, () => void this.start()))));
      return;
    }
    this.app.chooseClass(this.app.className);
    this.draw();
  }

  /** A token that was taken away ends the live stream: that looks like a lost connection until one asks. */
  async #stillKnown() {
    const session = await this.app.readSession().catch(() => null);
    if (session?.role === null) void this.start();
  }

  draw() {
    this.root.className = "";
    fill(this.root, h("a", { class: "skip", href: "#main", onclick: (/** @type {Event} */ event) => {
      event.preventDefault();
      this.main.focus();
    } }, t("shell.skip")), this.#bar(), this.#rail(), this.main);
    this.#status();
    this.open();
  }

  open() {
    if (!this.root.contains(this.main)) return;
    const { name, rest, query } = route();
    this.page?.destroy?.();
    const { role = "viewer", make, alone } = PAGES[name] ?? {};
    const made = this.app.partClass || alone ? (this.app.may(role) ? make : undefined) : () => noClass();
    try {
      this.page = made ? made(this.app, rest, query) : { element: h("div", { class: "page" }, h("h1", {}, t("shell.no_page"))), title: t("shell.no_page") };
    } catch (error) {
      this.page = { element: fault(error), title: t("shell.broken") };
      console.error(error);
    }
    fill(this.main, this.page.element);
    document.title = `${this.page.title} · ${this.app.session.station || "TRD"}`;
    for (const anchor of this.root.querySelectorAll(".rail a")) {
      const here = anchor.getAttribute("href") === link(name);
      if (here) anchor.setAttribute("aria-current", "page");
      else anchor.removeAttribute("aria-current");
    }
    if (this.shown && this.shown !== name) this.main.focus({ preventScroll: true });
    if (this.shown !== name) window.scrollTo(0, 0);
    this.shown = name;
  }

  #bar() {
    const { app } = this;
    const chosen = h("select", { "aria-label": t("shell.class"), onchange: () => {
      app.chooseClass(chosen.value);
      if (route().name === "part") location.hash = link("part");
      this.open();
      this.#status();
    } }, app.classes.map((one) => h("option", { value: one.name, selected: one.name === app.className }, one.name)));
    return h("header", { class: "bar" },
      h("div", { class: "brand" }, h("img", { src: "icon.svg", alt: "" })),
      h("span", { class: "station" }, app.session.station),
      app.classes.length ? chosen : null,
      this.lamp,
      h("span", { class: "grow" }),
      app.partClass && app.may("operator") && h("button", { class: "bare inspect", title: t("inspect.title"), onclick: () => inspectDialog(app) },
        icon("upload"), h("span", {}, t("inspect.title"))),
      this.#choices(),
      app.session.tokens && h("button", { class: "bare", onclick: async () => {
        await send("DELETE", "/v1/session");
        void this.start();
      } }, t("shell.sign_out", { name: app.session.name ?? "" })));
  }

  #choices() {
    const dark = theme() === "dark";
    return h("div", { class: "row" },
      h("select", { class: "slim", "aria-label": t("shell.language"), onchange: (/** @type {Event} */ event) => {
        useLanguage(/** @type {any} */ (event.target).value);
        if (this.root.className === "alone") void this.start();
        else this.draw();
      } }, LANGUAGES.map((one) => h("option", { value: one, selected: one === language() }, one.toUpperCase()))),
      h("button", { class: "bare square", title: t(dark ? "shell.light" : "shell.dark"), "aria-label": t(dark ? "shell.light" : "shell.dark"),
        onclick: (/** @type {Event} */ event) => {
          switchTheme();
          const button = /** @type {HTMLElement} */ (event.currentTarget);
          const now = theme() === "dark";
          fill(button, icon(now ? "sun" : "moon"));
          for (const name of ["title", "aria-label"]) button.setAttribute(name, t(now ? "shell.light" : "shell.dark"));
        } }, icon(dark ? "sun" : "moon")));
  }

  #rail() {
    const shown = Object.entries(PAGES).filter(([, page]) => !page.hidden && this.app.may(page.role ?? "viewer"));
    return h("nav", { class: "rail", "aria-label": t("shell.pages") }, h("ul", {}, shown.map(([name, page]) =>
      h("li", {}, h("a", { href: link(name), "data-page": name }, icon(page.icon), h("span", {}, t(`${name}.title`)))))));
  }

  /** The numbers beside the pages: the station's own news of them comes only every other second. */
  #recount() {
    clearTimeout(this.counting);
    this.counting = window.setTimeout(async () => {
      const { live } = this.app;
      await this.app.readClasses().catch((error) => console.info(error)); // the next news has them
      for (const one of this.app.classes) Object.assign(live.state?.classes[one.name] ?? {}, { review_open: one.review_open, alarms_open: one.alarms_open });
      this.#status();
    }, RECOUNT_MS);
  }

  #status() {
    const { live, className, partClass } = this.app;
    const state = live.state;
    const ready = state?.classes[className]?.ready ?? partClass?.ready ?? false;
    const counts = state?.classes[className] ?? partClass;
    const alarm = (counts?.alarms_open ?? 0) > 0;
    this.lamp.className = `lamp ${!live.connected ? "broken" : !ready ? "waiting" : alarm ? "alarm-open" : ""}`;
    const text = !live.connected ? t("shell.no_connection") : !ready ? t("shell.not_ready") : alarm ? t("alarm.open") : t("shell.ready");
    if (this.lamp.textContent !== text) fill(this.lamp, h("span", {}, text));
    this.#badge("review", counts?.review_open ?? 0, "");
    this.#badge("watch", counts?.alarms_open ?? 0, "alarm");
  }

  /**
   * @param {string} page
   * @param {number} count
   * @param {string} kind
   */
  #badge(page, count, kind) {
    const anchor = this.root.querySelector(`.rail a[data-page="${page}"]`);
    anchor?.querySelector(".badge")?.remove();
    if (!count) return;
    anchor?.append(h("span", { class: `badge ${kind}` }, String(count > 99 ? "99+" : count), h("span", { class: "unseen" }, t(`shell.${page}_badge`))));
  }
}

/** @type {import("./app.js").MakePage} */
function noClass() {
  return { element: h("div", { class: "page" }, h("div", { class: "panel" }, empty("teach", t("shell.no_class"), t("shell.no_class_text")),
    h("p", { class: "body row centred" }, h("a", { class: "button", href: link("teach") }, icon("teach"), t("teach.first"))))), title: t("shell.no_class") };
}
