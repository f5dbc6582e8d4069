// @ts-check
/** All parts so far: filter, pages, export. */

import { address, get, here, ofClass } from "../api.js";
import { App, link } from "../app.js";
import { fill, h, icon } from "../dom.js";
import { dateTime, num, score, t } from "../i18n.js";
import { hourBars } from "../hours.js";
import { message, worded } from "../messages.js";
import { decisionTag, empty, fault, field, judgementTag, kindName, scoreBar, thumbnail } from "../widgets.js";

/** @typedef {import("../types.js").Inspection} Inspection */
/** @typedef {Record<string, string>} Filter */

const ROWS = 50;
const EXPORTED = 100000; // parts in a CSV, at most; the station takes no more
const DECISIONS = /** @type {const} */ (["ok", "review", "reject", "invalid"]);

/** @type {import("../app.js").MakePage} */
export function historyPage(app) {
  const page = new History(app);
  return { element: page.element, title: t("history.title"), destroy: () => page.destroy() };
}

class History {
  /** @param {App} app */
  constructor(app) {
    this.app = app;
    /** What was looked at before is there again after a look at a part. @type {{ filter: Filter, cursors: (string | null)[] }} */
    this.state = app.kept.get("history") ?? { filter: {}, cursors: [null] };
    app.kept.set("history", this.state);
    this.stop = new AbortController();
    this.count = h("p", { class: "strong", role: "status" });
    this.cut = h("p", { class: "small quiet" });
    this.list = h("div", { class: "panel table-panel" });
    this.pages = h("nav", { class: "row", "aria-label": t("history.table") });
    this.exported = h("a", { class: "button", download: "" }, icon("download"), t("history.export"));
    this.filters = h("form", { class: "panel filters", "aria-label": t("history.filter"), onsubmit: (/** @type {Event} */ event) => event.preventDefault() });
    this.chart = hourBars(app.className);
    this.element = h("div", { class: "page history" },
      h("div", { class: "page-head" }, h("h1", {}, t("history.title")), h("span", { class: "grow" }),
        app.may("engineer") && h("a", { class: "button", href: here(address(`${ofClass(app.className)}/export.zip`, { verdict: "good,defect" })), download: "" }, icon("download"), t("history.export_parts")),
        this.exported),
      this.chart.element, this.filters, h("div", { class: "row wrap" }, this.count, this.cut, h("span", { class: "grow" }), this.pages), this.list);
    this.#drawFilters();
    void this.#read();
  }

  destroy() {
    this.stop.abort();
    this.chart.destroy();
    clearTimeout(this.wait);
  }

  /** The filter as the station takes it. */
  get query() {
    const { since, until, ...rest } = this.state.filter;
    const asTime = (/** @type {string | undefined} */ local) => (local ? new Date(local).toISOString() : undefined);
    return { class: this.app.className, ...rest, since: asTime(since), until: asTime(until) };
  }

  /**
   * @param {string} name
   * @param {string} value
   */
  #set(name, value) {
    if (value) this.state.filter[name] = value;
    else delete this.state.filter[name];
    this.state.cursors = [null];
    clearTimeout(this.wait);
    this.wait = window.setTimeout(() => void this.#read(), 250); // while someone is still typing
  }

  #drawFilters() {
    const { filter } = this.state;
    const input = (/** @type {string} */ name, /** @type {string} */ type, /** @type {object} */ more = {}) => {
      const control = h("input", { type, value: filter[name] ?? "", ...more, oninput: () => this.#set(name, control.value) });
      return control;
    };
    const chosen = new Set((filter.decision ?? "").split(",").filter(Boolean));
    const decisions = h("div", { class: "choice", role: "group", "aria-label": t("history.decision") }, DECISIONS.map((one) => {
      const button = h("button", { type: "button", "aria-pressed": String(chosen.has(one)), onclick: () => {
        if (!chosen.delete(one)) chosen.add(one);
        button.setAttribute("aria-pressed", String(chosen.has(one)));
        this.#set("decision", [...chosen].join(","));
      } }, t(`decision.${one}`));
      return button;
    }));
    const verdict = h("select", { onchange: () => this.#set("verdict", verdict.value) },
      [["", t("history.all")], ...["good", "defect", "unsure", "none"].map((one) => [one, t(`verdict.${one}`)])].map(([value, text]) => h("option", { value, selected: value === (filter.verdict ?? "") }, text)));
    const sampled = h("input", { type: "checkbox", checked: filter.sampled === "true", onchange: () => this.#set("sampled", sampled.checked ? "true" : "") });
    fill(this.filters,
      h("div", { class: "field" }, h("span", {}, t("history.decision")), decisions),
      field(t("history.verdict"), verdict),
      field(t("history.part"), input("part_prefix", "search", { maxlength: 200, class: "short" })),
      field(t("history.score_from"), input("score_from", "number", { step: "any", class: "narrow" })),
      field(t("history.since"), input("since", "datetime-local")),
      field(t("history.until"), input("until", "datetime-local")),
      h("label", { class: "check" }, sampled, t("history.sampled")),
      h("button", { type: "button", class: "bare", onclick: () => {
        this.state.filter = {};
        this.state.cursors = [null];
        this.#drawFilters();
        void this.#read();
      } }, t("history.clear")));
  }

  async #read() {
    this.stop.abort();
    this.stop = new AbortController();
    const { signal } = this.stop;
    this.exported.href = here(address("/v1/inspections.csv", { ...this.query, limit: EXPORTED }));
    const { cursors } = this.state;
    this.list.setAttribute("aria-busy", "true");
    try {
      const [rows, count] = await Promise.all([
        get("/v1/inspections", { ...this.query, limit: ROWS, cursor: cursors[cursors.length - 1] }, signal),
        get("/v1/inspections/count", this.query, signal),
      ]);
      fill(this.count, count.exact ? t("history.count", { n: count.count }) : t("history.at_least", { n: count.count }));
      fill(this.cut, (count.count > EXPORTED || !count.exact) && t("history.export_most", { n: EXPORTED }));
      this.#drawPages(rows.next);
      fill(this.list, rows.inspections.length ? table(rows.inspections) : this.#nothing());
    } catch (error) {
      if (!signal.aborted) fill(this.list, fault(error, () => void this.#read()));
    } finally {
      this.list.removeAttribute("aria-busy");
    }
  }

  #nothing() {
    const filtered = Object.keys(this.state.filter).length > 0;
    return filtered ? empty("history", t("history.empty"), t("history.empty_text")) : empty("history", t("part.none"), t("line.empty_text"));
  }

  /** @param {string | null} next */
  #drawPages(next) {
    const { cursors } = this.state;
    const go = (/** @type {() => void} */ change) => () => {
      change();
      void this.#read();
    };
    fill(this.pages,
      h("button", { class: "slim", disabled: cursors.length === 1, onclick: go(() => cursors.pop()) }, icon("left"), t("history.previous")),
      h("span", { class: "small" }, t("history.page", { n: cursors.length })),
      h("button", { class: "slim", disabled: !next, onclick: go(() => cursors.push(next)) }, t("history.next"), icon("right")));
  }
}

/** @param {Inspection[]} parts */
function table(parts) {
  const heads = /** @type {const} */ (["picture", "id", "part", "at", "decision", "score", "verdict", "kind", "model", "notes"]);
  return h("table", { class: "parts" },
    h("caption", { class: "unseen" }, t("history.table")),
    h("thead", {}, h("tr", {}, heads.map((name) => h("th", { scope: "col", class: name === "id" || name === "model" ? "number" : "" }, name === "part" ? t("part.title") : t(`history.${name}`))))),
    h("tbody", {}, parts.map((part) => h("tr", { onclick: (/** @type {MouseEvent} */ event) => {
      if (!(/** @type {Element} */ (event.target).closest("a"))) location.hash = link("part", part.id);
    } },
    h("td", { class: "picture" }, thumbnail(part, 40)),
    h("td", { class: "number quiet" }, String(part.id)),
    h("td", { class: "break" }, h("a", { href: link("part", part.id) }, part.part)),
    h("td", {}, dateTime(part.at)),
    h("td", {}, decisionTag(part.decision)),
    h("td", { class: "score" }, part.score === null ? h("span", { class: "quiet" }, "–") : h("span", { class: "row" }, h("span", { class: "number" }, score(part.score)), scoreBar(part))),
    h("td", {}, judgementTag(part.verdict)),
    h("td", { class: "small break" }, part.verdict_kind ?? (part.kind_suggestion && h("span", { class: "quiet", title: t("part.suggested") }, kindName(part.kind_suggestion.kind)))),
    h("td", { class: "number" }, num(part.model, 0)),
    h("td", { class: "notes small", title: [part.reason ?? "", ...part.notes].filter(Boolean).map(worded).join("\n") }, message(part.reason ?? part.notes[0] ?? ""))))));
}
