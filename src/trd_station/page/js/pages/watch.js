// @ts-check
/** Whether parts and sensors are still what they were. */

import { acknowledgeDialog } from "../alarms.js";
import { get, ofClass, send } from "../api.js";
import { App, link } from "../app.js";
import { Chart, axis, banded, chartKey, dots, pointed } from "../charts.js";
import { fill, h, icon } from "../dom.js";
import { dateTime, num, percent, t } from "../i18n.js";
import { message } from "../messages.js";
import { factorOf, measureOf, streamName, unitOf } from "../streams.js";
import { ask, empty, fault, field, into } from "../widgets.js";
import { rulesPanel } from "./watch-rules.js";

/** @typedef {import("../types.js").Stream} Stream */
/** @typedef {import("../types.js").StationEvent} StationEvent */

const POINTS = 500;
const EVENTS = 20;
const REREAD_MS = 10000;

/** @type {import("../app.js").MakePage} */
export function watchPage(app) {
  const page = new Watch(app);
  return { element: page.element, title: t("watch.title"), destroy: () => page.destroy() };
}

class Watch {
  /** @param {App} app */
  constructor(app) {
    this.app = app;
    this.path = `${ofClass(app.className)}/watch`;
    this.events = h("div", {});
    this.streams = h("div", { class: "table-panel" }, h("div", { class: "empty" }, t("loading")));
    this.intro = h("p", { class: "quiet" });
    this.chartPlace = h("section", { class: "panel stream-chart", hidden: true });
    this.chartHead = h("header", {});
    const may = app.may("engineer");
    this.rules = rulesPanel(app);
    this.element = h("div", { class: "page watch" },
      h("div", { class: "page-head" }, h("h1", {}, t("watch.title")), h("span", { class: "grow" }),
        may && h("button", { onclick: () => this.#restart(null) }, t("watch.restart_all"))),
      h("section", { class: "panel" }, h("header", {}, h("h2", {}, t("watch.alarms"))), this.events),
      this.chartPlace,
      h("section", { class: "panel" }, h("header", {}, h("h2", {}, t("watch.streams"))), h("div", { class: "body" }, this.intro), this.streams),
      this.rules);
    this.chosen = "";
    /** Of the chart, oldest first. @type {{ id: number, at: string, value: number }[]} */
    this.points = [];
    /** The measure that the chart shows: another one than the chosen while that is read, or where reading failed. */
    this.drawn = "";
    /** @type {[number, number] | null} */
    this.band = null;
    this.stop = new AbortController();
    this.ends = [
      app.live.on("event", () => this.#readEvents()),
      app.live.on("connection", (state) => state === "open" && this.#readEvents()),
      app.live.on("changed", (change) => change.what === "watch" && void this.#read()),
    ];
    this.timer = window.setInterval(() => void this.#read(), REREAD_MS);
    this.#readEvents();
    void this.#read();
  }

  destroy() {
    this.stop.abort();
    clearInterval(this.timer);
    for (const end of this.ends) end();
    this.chart?.destroy();
  }

  #readEvents() {
    void into(this.events, () => get("/v1/events", { class: this.app.className, limit: EVENTS }, this.stop.signal), (/** @type {{ events: StationEvent[] }} */ { events }) =>
      events.length === 0 ? h("p", { class: "panel-text quiet" }, t("watch.no_events")) : h("ul", { class: "events" }, events.map((one) => this.#event(one))));
  }

  /** @param {StationEvent} event */
  #event(event) {
    const tag = { info: "", warning: "review", alarm: "reject" }[event.level];
    const open = event.level !== "info" && !event.acknowledged_by;
    return h("li", {}, h("span", { class: `tag ${tag}` }, icon(event.level === "info" ? "line" : "invalid"), t(`watch.level.${event.level}`)),
      h("span", { class: "quiet small when" }, dateTime(event.at)),
      h("span", { class: "text" }, message(event.text)),
      event.acknowledged_by ? h("span", { class: "quiet small" }, t("watch.acknowledged", { who: event.acknowledged_by }), event.cause && `: ${event.cause}`)
        : open && this.app.may("operator") && h("button", { class: "slim", onclick: async (/** @type {Event} */ click) => {
          if (event.level === "alarm") {
            acknowledgeDialog(event, () => this.#readEvents());
            return;
          }
          const button = /** @type {HTMLButtonElement} */ (click.currentTarget);
          button.disabled = true;
          try {
            await send("POST", `/v1/events/${event.id}/acknowledge`);
            this.#readEvents();
          } catch (error) {
            button.closest("li")?.after(h("li", {}, fault(error)));
            button.disabled = false;
          }
        } }, t("watch.acknowledge")));
  }

  async #read() {
    const { signal } = this.stop;
    try {
      const found = await get(this.path, {}, signal);
      /** @type {Stream[]} */
      const streams = found.streams;
      const since = found.since && ` ${t("watch.since", { since: dateTime(found.since) })}`; // null before the first part
      fill(this.intro, t("watch.intro", { rate: percent(found.false_alarm_rate) }), since);
      fill(this.streams, streams.length ? this.#table(streams) : empty("watch", t("watch.empty"), t("watch.empty_text")));
      const chosen = streams.find((one) => one.name === this.chosen) ?? streams.find((one) => one.alarm) ?? streams[0];
      if (chosen) await this.#show(chosen);
    } catch (error) {
      this.#failed(error);
    }
  }

  /** @param {unknown} error */
  #failed(error) {
    if (!this.stop.signal.aborted) fill(this.streams, fault(error, () => void this.#read()));
  }

  /** @param {Stream[]} streams */
  #table(streams) {
    const heads = ["name", "state", "value", "usual", "training", "evidence", "parts"];
    return h("table", { class: "streams" }, h("caption", { class: "unseen" }, t("watch.streams")),
      h("thead", {}, h("tr", {}, heads.map((name) => h("th", { scope: "col", class: ["value", "usual", "training", "parts"].includes(name) ? "number" : "" }, t(`watch.${name}`))))),
      h("tbody", {}, streams.map((one) => h("tr", { class: one.name === this.chosen ? "chosen" : "", "data-stream": one.name, onclick: () => void this.#show(one).catch((error) => this.#failed(error)) },
        h("th", { scope: "row" }, h("button", { class: "bare" }, streamName(one.name))),
        h("td", {}, stateTag(one)),
        h("td", { class: "number strong" }, measureOf(one.name, one.value)),
        range(one.reference, one), range(one.training, one),
        h("td", {}, evidence(one)),
        h("td", { class: "number" }, num(one.count, 0))))));
  }

  /** @param {Stream} stream */
  async #show(stream) {
    this.chosen = stream.name;
    for (const row of this.streams.querySelectorAll("tbody tr")) row.classList.toggle("chosen", /** @type {HTMLElement} */ (row).dataset.stream === stream.name);
    const { points } = await get(`${this.path}/${encodeURIComponent(stream.name)}`, { limit: POINTS }, this.stop.signal);
    if (this.chosen !== stream.name) return; // another one was chosen meanwhile
    this.points = points;
    const scale = factorOf(stream.name);
    const values = points.map((/** @type {any} */ one) => scale * one.value);
    const data = [values.map((/** @type {number} */ _value, /** @type {number} */ index) => index - values.length + 1), values];
    this.band = stream.training && /** @type {[number, number]} */ (stream.training.map((value) => scale * value));
    const label = t("watch.chart", { name: streamName(stream.name), n: values.length });
    const before = this.drawn === stream.name ? this.chart : undefined;
    if (before) {
      before.element.setAttribute("aria-label", label);
      before.set(data);
    } else {
      this.chart?.destroy();
      this.chart = new Chart(label, 210, () => ({
        scales: { x: { time: false }, y: { range: (_plot, low, high) => around([low, high, ...(this.band ?? [])]) } },
        axes: [axis({ label: t("watch.before"), size: 30, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500] }), axis({ size: 64 })],
        series: [{}, dots("accent", 5)],
        plugins: [banded(() => this.band), pointed({
          text: (index) => {
            const one = this.points[index];
            return one ? [measureOf(this.chosen, one.value), dateTime(one.at)] : [];
          },
          open: (index) => this.points[index] && (location.hash = link("part", this.points[index].id)),
        })],
      }), data);
      fill(this.chartPlace, this.chartHead, h("div", { class: "chart-place" }, this.chart.element));
    }
    this.chartPlace.hidden = false;
    fill(this.chartHead, h("h2", {}, streamName(stream.name)), stateTag(stream), h("span", { class: "grow" }),
      this.band && chartKey([["accent-soft", t("watch.band"), "box"]]),
      this.app.may("engineer") && h("button", { class: "slim", onclick: () => this.#restart(stream.name) }, t("watch.restart")));
    this.drawn = stream.name;
  }

  /** @param {string | null} name */
  #restart(name) {
    const reason = h("textarea", { rows: 2, required: true, maxlength: 1000, placeholder: t("reason_hint") });
    ask({
      title: name ? `${t("watch.restart")}: ${streamName(name)}` : t("watch.restart_all"),
      act: t(name ? "watch.restart" : "watch.restart_all"),
      body: [h("p", {}, t("watch.restart_text")), field(t("reason"), reason)],
      does: async () => {
        await send("POST", `${this.path}/restart`, { name, reason: reason.value.trim() });
        await this.#read();
      },
    });
  }
}

/** @param {Stream} stream */
function stateTag(stream) {
  const since = stream.alarm_since ? t("watch.alarm_since", { at: dateTime(stream.alarm_since) }) : "";
  if (stream.alarm) return h("span", { class: "tag reject", title: since }, icon("invalid"), t("watch.alarm"));
  if (stream.inside === false) return h("span", { class: "tag review" }, icon("question"), t("watch.outside"));
  if (!stream.ready) return h("span", { class: "tag" }, t("watch.early", { n: stream.count }));
  return h("span", { class: "tag ok" }, icon("ok"), t("watch.steady"));
}

/**
 * @param {[number, number] | null} both
 * @param {Stream} stream
 */
function range(both, stream) {
  const held = both && /** @type {[number, number]} */ (unitOf(stream.name) === "share" ? both.map((one) => Math.min(1, Math.max(0, one))) : both);
  return h("td", { class: "number" }, held ? t("watch.range", { low: measureOf(stream.name, held[0]).replace(/\s?(mm|°|%)$/, ""), high: measureOf(stream.name, held[1]) }) : "–");
}

/** @param {Stream} stream */
function evidence(stream) {
  const share = Math.min(1, Math.max(0, stream.log10_evidence / stream.alarm_at));
  const label = `${percent(share, 0)}`;
  return h("span", { class: `evidence ${stream.alarm ? "alarm" : ""}`, role: "img", "aria-label": label, title: label }, h("i", { style: { width: `${100 * share}%` } }));
}

/**
 * A range of y with a margin, around all that is given.
 * @param {(number | null | undefined)[]} values
 * @returns {[number, number]}
 */
function around(values) {
  const known = /** @type {number[]} */ (values.filter((value) => value !== null && value !== undefined && Number.isFinite(value)));
  const [low, high] = known.length ? [Math.min(...known), Math.max(...known)] : [0, 1];
  const margin = (high - low || Math.abs(high) || 1) * 0.1;
  return [low - margin, high + margin];
}
