// @ts-check
/** The line as it runs: the last decision, legible from two metres, and how the last hundred parts went. */

import { AlarmBanner } from "../alarms.js";
import { get } from "../api.js";
import { App, link } from "../app.js";
import { Chart, axis, beyond, chartKey, dots, pointed, stepped } from "../charts.js";
import { contour } from "../contour.js";
import { fill, h, icon } from "../dom.js";
import { USUAL_STRENGTH, heatPicture } from "../heat.js";
import { num, percent, score, t, time, timeOrDate } from "../i18n.js";
import { Linked } from "../linked.js";
import { Looks, drawable, homeDetail, mainImage } from "../looks.js";
import { MapView } from "../mapview.js";
import { message } from "../messages.js";
import { DECISION_ICONS, empty, fault, scoreBar, thumbnail } from "../widgets.js";

/** @typedef {import("../types.js").Inspection} Inspection */

const REMEMBERED = 100;
const IN_STRIP = 24;

/** @param {App} app @returns {import("../app.js").Page} */
export function linePage(app) {
  const line = new Line(app);
  return { element: line.element, title: t("line.title"), destroy: () => line.destroy() };
}

class Line {
  /** @param {App} app */
  constructor(app) {
    this.app = app;
    /** @type {Inspection[]} newest first */
    this.parts = [];
    this.decision = h("section", { class: "line-decision", "aria-label": t("line.last") });
    this.said = h("p", { class: "unseen", role: "status" });
    this.warning = h("p", { class: "line-warning", role: "alert", hidden: true });
    this.picture = h("section", { class: "line-picture panel", "aria-label": t("line.picture") });
    this.rates = h("dl", { class: "line-rates" });
    this.strip = h("ol", { class: "line-strip", "aria-label": t("line.strip") });
    this.trace = this.#makeTrace();
    this.traceNote = h("span", { class: "small quiet" });
    this.tracePanel = h("section", { class: "panel line-trace" },
      h("header", {}, h("h2", {}, t("line.trace")), this.traceNote, h("span", { class: "grow" }), chartKey([["ok", t("decision.ok")], ["review", t("decision.review")], ["reject", t("decision.reject")]])),
      this.trace.element);
    this.alarms = new AlarmBanner(app);
    this.element = h("div", { class: "page full line" }, h("h1", { class: "unseen" }, t("line.title")), this.said, this.alarms.element,
      this.decision, this.warning, this.picture, this.rates, this.tracePanel, this.strip);
    this.asked = 0;
    this.loading = false;
    /** @type {MapView | null} */
    this.view = null;
    this.viewed = -1;
    this.ends = [
      app.live.on("inspection", (part) => this.#take(part)),
      app.live.on("state", () => {
        this.#drawRates();
        this.#warn();
      }),
      app.live.on("connection", (state) => {
        this.#warn();
        if (state === "open") void this.#read();
      }),
    ];
    this.clock = window.setInterval(() => this.#drawAge(), 1000);
    if (app.live.state) this.#warn(); // it may have been lost on another page
    fill(this.decision, h("div", { class: "empty" }, t("loading")));
    void this.#read();
  }

  destroy() {
    for (const end of this.ends) end();
    this.alarms.destroy();
    clearInterval(this.clock);
    cancelAnimationFrame(this.asked);
    this.trace.destroy();
    this.view?.destroy();
    this.looks?.destroy();
  }

  /** Nobody may take the decision of a part long gone for that of the next one. */
  #warn() {
    const { connected, state } = this.app.live;
    const ready = state?.classes[this.app.className]?.ready ?? true;
    const text = !connected ? t("line.no_connection", { at: time(new Date().toISOString()) }) : ready ? "" : t("shell.not_ready");
    if (!text || this.warning.hidden) this.warning.textContent = text; // the time at which it was lost stays
    this.warning.hidden = !text;
    this.element.classList.toggle("stale", Boolean(text));
  }

  async #read() {
    const before = this.parts;
    try {
      /** @type {{ inspections: Inspection[] }} */
      const { inspections } = await get("/v1/inspections", { class: this.app.className, limit: REMEMBERED });
      const came = this.parts.filter((part) => !before.includes(part)); // meanwhile: the answer may be older
      this.#keep([...came, ...inspections]);
      this.#draw();
    } catch (error) {
      fill(this.decision, fault(error, () => void this.#read()));
    }
  }

  /** @param {Inspection} part */
  #take(part) {
    if (part.class !== this.app.className || this.parts.some((one) => one.id === part.id)) return;
    this.#keep([part, ...this.parts]);
    cancelAnimationFrame(this.asked);
    this.asked = requestAnimationFrame(() => this.#draw());
  }

  /** @param {Inspection[]} parts each once or more, in any order */
  #keep(parts) {
    const byId = new Map(parts.map((part) => [part.id, part]));
    this.parts = [...byId.values()].sort((one, other) => other.id - one.id).slice(0, REMEMBERED);
  }

  #draw() {
    this.#drawDecision();
    this.#drawRates();
    this.#drawStrip();
    this.#drawTrace();
    void this.#drawPicture();
  }

  #drawDecision() {
    const [part] = this.parts;
    this.element.classList.toggle("bare", !part);
    if (!part) {
      this.decision.className = "line-decision panel";
      fill(this.decision, empty("line", t("line.empty"), t("line.empty_text")));
      return;
    }
    this.decision.className = `line-decision ${part.decision}`;
    this.when = h("span", { class: "when" });
    const word = t(`decision.${part.decision}`);
    fill(this.decision,
      h("div", { class: "word", style: { "--letters": word.length } }, icon(DECISION_ICONS[part.decision]), h("strong", {}, word)),
      h("div", { class: "line-part" },
        h("a", { class: "name", href: link("part", part.id), title: part.part }, part.part),
        this.when),
      part.decision === "invalid"
        ? h("p", { class: "why" }, message(part.reason ?? ""))
        : h("div", { class: "line-score" }, h("span", {}, t("part.score"), " ", h("b", {}, score(part.score))), scoreBar(part, "large")),
      part.notes.length > 0 && h("p", { class: "why" }, message(part.notes[0]), part.notes.length > 1 ? ` (+${part.notes.length - 1})` : ""));
    this.#drawAge();
    this.said.textContent = `${part.part}: ${word}`; // said once a part, not with every second that its age changes
  }

  #drawAge() {
    const [part] = this.parts;
    if (!part || !this.when) return;
    const seconds = Math.max(0, Math.round((Date.now() - Date.parse(part.at)) / 1000));
    const text = seconds < 100 ? t("line.seconds_ago", { n: seconds }) : seconds < 6000 ? t("line.minutes_ago", { n: Math.round(seconds / 60) }) : "";
    this.when.textContent = [timeOrDate(part.at), text].filter(Boolean).join(" · "); // yesterday's may not look like today's
  }

  #drawRates() {
    const { state } = this.app.live;
    const count = this.parts.length;
    const share = (/** @type {string} */ decision) => (count ? this.parts.filter((part) => part.decision === decision).length / count : null);
    const times = this.parts.map((part) => part.timings.total_ms).filter((value) => value > 0).sort((one, other) => one - other);
    const median = times[Math.floor(times.length / 2)];
    const slow = times[Math.floor(times.length * 0.95)];
    /** @type {[string, string, string, string][]} */
    const tiles = [
      [t("decision.ok"), percent(share("ok"), 0), t("line.of_last", { n: count }), "ok"],
      [t("decision.review"), percent(share("review"), 0), t("line.of_last", { n: count }), "review"],
      [t("decision.reject"), percent(share("reject"), 0), t("line.of_last", { n: count }), "reject"],
      [t("line.per_minute"), num(state?.parts_per_minute, 0), "", ""],
      [t("line.duration"), median ? `${num(median, 0)} ms` : "–", slow ? t("line.slow", { ms: num(slow, 0) }) : "", ""],
      [t("line.queue"), state ? num(state.queue, 0) : "–", state ? t("line.capacity", { n: state.capacity }) : "", ""],
    ];
    fill(this.rates, tiles.map(([label, value, more, kind]) =>
      h("div", { class: `panel tile ${kind}` }, h("dt", {}, label), h("dd", {}, h("b", {}, value), more && h("small", {}, more)))));
  }

  #drawStrip() {
    fill(this.strip, this.parts.slice(0, IN_STRIP).map((part, index) =>
      h("li", {}, h("a", { class: `chip ${part.decision}`, href: link("part", part.id), title: `${part.part} · ${timeOrDate(part.at)}`, "aria-current": index === 0 ? "true" : null },
        thumbnail(part, 104),
        h("span", { class: "foot" }, icon(DECISION_ICONS[part.decision]), h("span", { class: "unseen" }, `${part.part}: ${t(`decision.${part.decision}`)}, `),
          part.score === null ? t("decision.invalid") : score(part.score))))));
  }

  #makeTrace() {
    return new Chart(t("line.trace_label"), 190, () => ({
      scales: { x: { time: false, range: [0.5, REMEMBERED + 0.5] }, y: { range: (_plot, low) => [Math.min(0, low ?? 0), this.#top()] } },
      axes: [axis({ show: false }), axis({ size: 44 })],
      series: [{}, dots("ok", 6), dots("review", 8), dots("reject", 8), stepped("review"), stepped("reject")],
      plugins: [beyond(() => this.#beyond()), pointed({
        text: (index) => {
          const part = this.#traced(index);
          return part ? [part.part, `${t(`decision.${part.decision}`)} · ${score(part.score)}`, timeOrDate(part.at)] : [];
        },
        open: (index) => {
          const part = this.#traced(index);
          if (part) location.hash = link("part", part.id);
        },
      })],
    }), [[], [], [], [], [], []]);
  }

  /** @param {number} index of the trace, oldest first */
  #traced(index) {
    const part = this.parts[this.parts.length - 1 - index];
    return part?.score === null || this.#comparable(part) ? part : undefined;
  }

  /** Another model's scores are in other units: they are not drawn under this one's limits. @param {Inspection} [part] */
  #comparable(part) {
    return part !== undefined && part.model === this.parts[0]?.model;
  }

  /** What scores above the trace's top: an arrow at the rim, with the score. */
  #beyond() {
    const top = this.#top();
    const last = REMEMBERED - this.parts.length + 1;
    return [...this.parts].reverse().flatMap((part, index) => (part.score !== null && part.score > top && this.#comparable(part) ? [{ at: last + index, text: score(part.score), colour: part.decision }] : []));
  }

  /** Of the trace: what scores far above the limit is marked at its rim, else nobody could see how near the others came. */
  #top() {
    const limit = this.parts[0]?.reject_above ?? 1;
    const highest = Math.max(0, ...this.parts.filter((part) => this.#comparable(part)).map((part) => part.score ?? 0));
    return Math.min(4 * limit, Math.max(1.35 * limit, 1.05 * highest));
  }

  #drawTrace() {
    const oldest = [...this.parts].reverse();
    const start = REMEMBERED - oldest.length;
    const top = this.#top();
    const drawn = (/** @type {(part: Inspection) => number | null} */ value) => oldest.map((part) => (this.#comparable(part) ? value(part) : null));
    const column = (/** @type {string} */ decision) => drawn((part) => (part.decision === decision && part.score !== null && part.score <= top ? part.score : null));
    const [newest] = this.parts;
    const limit = (/** @type {"review_above" | "reject_above"} */ name) => [...drawn((part) => part[name]), newest?.[name] ?? null]; // on to the rim
    this.trace.set([[...oldest.map((_, index) => start + index + 1), REMEMBERED + 0.5], ...["ok", "review", "reject"].map((decision) => [...column(decision), null]), limit("review_above"), limit("reject_above")]);
    const left = oldest.filter((part) => !this.#comparable(part)).length;
    this.traceNote.textContent = left ? t("line.other_model", { n: left }) : "";
  }

  /** Of the newest part only: what comes while one is loading is passed over. */
  async #drawPicture() {
    const [part] = this.parts;
    if (!part || this.loading || part.id === this.viewed) return;
    this.loading = true;
    try {
      await this.#show(part);
      this.viewed = part.id;
    } catch (error) {
      this.viewed = part.id;
      this.view?.destroy();
      this.view = null;
      fill(this.picture, fault(error));
    } finally {
      this.loading = false;
    }
    if (this.parts[0] && this.parts[0].id !== part.id) void this.#drawPicture();
  }

  /** @param {Inspection} part */
  async #show(part) {
    const name = mainImage(part);
    if (!name || !part.frame || part.pruned) {
      this.view?.destroy();
      this.view = null;
      fill(this.picture, empty("part", t("part.no_picture")));
      return;
    }
    this.looks = new Looks(part);
    const [image, values] = await Promise.all([this.looks.image(name), part.maps.includes("fused") ? this.looks.map("fused") : null]);
    if (!this.element.isConnected) return;
    const { height, width } = part.frame;
    const limit = part.pixel_threshold ?? part.reject_above;
    const before = this.view;
    this.view = new MapView(new Linked(height, width, homeDetail(part)), t("line.picture_of", { part: part.part, decision: t(`decision.${part.decision}`) }));
    this.view.show({
      picture: image,
      heat: values && drawable(heatPicture(values, width, height, { reject: part.reject_above, limit, strength: USUAL_STRENGTH })),
      contour: values && contour(values, width, height, limit),
    });
    fill(this.picture, this.view.element);
    before?.destroy();
  }
}

