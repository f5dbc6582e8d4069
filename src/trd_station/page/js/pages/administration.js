// @ts-check
/** For who looks after the station: tokens, inputs and outputs, settings, disk, backup, sign-ins. */

import { get, here } from "../api.js";
import { App } from "../app.js";
import { fill, h, icon } from "../dom.js";
import { dateTime, percent, size, t } from "../i18n.js";
import { message } from "../messages.js";
import { into } from "../widgets.js";
import { attachedPanel } from "./administration-attached.js";
import { settingsPanel } from "./administration-settings.js";
import { tokensPanel } from "./administration-tokens.js";

/** @typedef {import("../types.js").Administration} Administration */

const SIGN_INS = 20;
const EVERY_MS = 10_000;
const LITTLE = 0.05; // share of the disk that is free, from which on it is told

/** @type {import("../app.js").MakePage} */
export function administrationPage(app) {
  const page = new AdministrationPage(app);
  return { element: page.element, title: t("administration.title"), destroy: () => page.destroy() };
}

class AdministrationPage {
  /** @param {App} app */
  constructor(app) {
    this.app = app;
    this.stop = new AbortController();
    this.attached = h("div", {});
    this.disk = h("div", { class: "body stack" });
    this.settings = h("div", { class: "body" }, h("div", { class: "empty" }, t("loading")));
    this.signIns = h("div", {});
    this.backup = h("p", { class: "small quiet" });
    this.element = h("div", { class: "page administration" },
      h("div", { class: "page-head" }, h("h1", {}, t("administration.heading"))),
      tokensPanel(app, this.stop.signal),
      panel("administration.attached", this.attached),
      h("div", { class: "columns" },
        panel("administration.settings", this.settings),
        h("div", { class: "stack-wide" },
          panel("administration.disk", this.disk),
          panel("administration.backup", h("div", { class: "body stack" },
            h("p", {}, t("administration.backup_text")),
            h("div", { class: "row wrap" },
              h("a", { class: "button", href: here("/v1/backup.zip"), download: "" }, icon("download"), t("administration.backup_act")), this.backup))))),
      panel("administration.sign_ins", this.signIns));
    this.timer = window.setInterval(() => void this.#refresh(), EVERY_MS);
    this.ends = [app.live.on("event", (event) => event.kind === "sign_in" && this.#readSignIns())];
    void this.#begin();
    this.#readSignIns();
  }

  destroy() {
    this.stop.abort();
    clearInterval(this.timer);
    for (const end of this.ends) end();
  }

  /** The settings are filled in once: a form is not changed under the hands of who types. */
  #begin() {
    return into(this.settings, () => get("/v1/administration", {}, this.stop.signal), (/** @type {Administration} */ told) => {
      this.#show(told);
      return settingsPanel(told.settings);
    });
  }

  async #refresh() {
    const told = await get("/v1/administration", {}, this.stop.signal).catch(() => null); // the lamp tells of a lost connection
    if (told && !this.attached.contains(document.activeElement)) this.#show(told);
  }

  /** @param {Administration} told */
  #show(told) {
    fill(this.attached, attachedPanel(told));
    fill(this.backup, told.last_backup ? t("administration.last_backup", { at: dateTime(told.last_backup) }) : t("administration.no_backup"));
    const { disk } = told;
    const used = 1 - disk.free_bytes / disk.total_bytes;
    const text = t("administration.free", { free: size(disk.free_bytes), total: size(disk.total_bytes) });
    fill(this.disk,
      h("meter", { min: 0, max: 1, high: 1 - LITTLE, optimum: 0, value: used, "aria-label": text }, percent(used, 0)),
      h("p", {}, text),
      disk.free_bytes < LITTLE * disk.total_bytes && h("div", { class: "note" }, icon("invalid"), h("div", {}, t("administration.little"))),
      h("dl", { class: "facts" },
        fact("administration.files", size(disk.files_bytes)),
        fact("administration.database", h("span", {}, size(disk.database_bytes), " ", h("code", { class: "small quiet break" }, told.database))),
        fact("administration.folder", h("code", { class: "small break" }, told.folder))));
  }

  #readSignIns() {
    void into(this.signIns, () => get("/v1/events", { kind: "sign_in", limit: SIGN_INS }, this.stop.signal), (/** @type {{ events: import("../types.js").StationEvent[] }} */ { events }) =>
      events.length === 0 ? h("p", { class: "panel-text quiet" }, t("administration.no_sign_ins")) : h("ul", { class: "events" }, events.map((one) =>
        h("li", {}, one.level === "warning" && h("span", { class: "tag review" }, icon("invalid"), t("watch.level.warning")),
          h("span", { class: "quiet small when" }, dateTime(one.at)), h("span", { class: "text" }, message(one.text))))));
  }
}

/**
 * @param {string} title
 * @param {HTMLElement} content
 */
function panel(title, content) {
  return h("section", { class: "panel" }, h("header", {}, h("h2", {}, t(title))), content);
}

/**
 * @param {string} key
 * @param {import("../dom.js").Child} value
 */
function fact(key, value) {
  return [h("dt", {}, t(key)), h("dd", {}, value)];
}
