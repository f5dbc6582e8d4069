// @ts-check
/** Alarms that nobody has acknowledged: in words that are read from two metres, with the way to say what the cause was. */

import { get, send } from "./api.js";
import { App, link } from "./app.js";
import { fill, h, icon } from "./dom.js";
import { t, timeOrDate, word } from "./i18n.js";
import { message } from "./messages.js";
import { ask, field } from "./widgets.js";

/** @typedef {import("./types.js").StationEvent} StationEvent */

const SHOWN = 2; // at once; the others are counted
const CAUSES = /** @type {const} */ (["lamp", "camera", "fixture", "batch", "defects", "test"]);

/** What kind of alarm it is, in two or three words. @param {StationEvent} alarm */
function alarmTitle(alarm) {
  const title = word("alarm", alarm.kind);
  return title === alarm.kind ? t("watch.level.alarm") : title;
}

/**
 * @param {StationEvent} alarm
 * @param {() => void} done
 */
export function acknowledgeDialog(alarm, done) {
  const cause = h("input", { type: "text", required: true, maxlength: 500, autocomplete: "off" });
  ask({
    title: alarmTitle(alarm),
    act: t("watch.acknowledge"),
    body: [
      h("p", {}, message(alarm.text)),
      field(t("alarm.cause"), cause),
      h("div", { class: "row wrap" }, CAUSES.map((name) => h("button", { type: "button", class: "slim", onclick: () => (cause.value = t(`alarm.cause.${name}`)) }, t(`alarm.cause.${name}`)))),
    ],
    does: async () => {
      await send("POST", `/v1/events/${alarm.id}/acknowledge`, { cause: cause.value.trim() });
      done();
    },
  });
}

export class AlarmBanner {
  /** @param {App} app */
  constructor(app) {
    this.app = app;
    this.element = h("section", { class: "alarms", role: "alert", "aria-label": t("alarm.open"), hidden: true });
    this.stop = new AbortController();
    this.asked = 0;
    this.ends = [
      app.live.on("event", () => void this.#read()),
      app.live.on("connection", (state) => state === "open" && void this.#read()),
    ];
    void this.#read();
  }

  destroy() {
    this.stop.abort();
    for (const end of this.ends) end();
  }

  async #read() {
    const number = ++this.asked;
    try {
      /** @type {{ events: StationEvent[] }} */
      const { events } = await get("/v1/events", { class: this.app.className, level: "alarm", open: true }, this.stop.signal);
      if (number === this.asked) this.#draw(events);
    } catch (error) {
      if (!this.stop.signal.aborted) console.info(error); // the line says that there is no connection, and asks again
    }
  }

  /** @param {StationEvent[]} alarms newest first */
  #draw(alarms) {
    const more = alarms.length - SHOWN;
    this.element.hidden = !alarms.length;
    fill(this.element, alarms.slice(0, SHOWN).map((alarm) => h("div", { class: "alarm", "data-kind": alarm.kind },
      icon("invalid"),
      h("div", { class: "words" }, h("strong", {}, alarmTitle(alarm)), h("span", {}, message(alarm.text), " · ", timeOrDate(alarm.at))),
      this.app.may("operator") && h("button", { onclick: () => acknowledgeDialog(alarm, () => void this.#read()) }, t("watch.acknowledge")))),
    more > 0 && h("a", { class: "more", href: link("watch") }, t("alarm.more", { n: more })));
  }
}
