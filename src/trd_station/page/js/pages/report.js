// @ts-check
/** One part on paper: pictures, facts and history, for the printer or a PDF. */

import { address, get, imagePath, ofClass, ofPart } from "../api.js";
import { App, link } from "../app.js";
import { fill, h, icon } from "../dom.js";
import { dateTime, num, score, t, word } from "../i18n.js";
import { message } from "../messages.js";
import { measureOf, sourceName, streamName } from "../streams.js";
import { decisionTag, fault, judgementTag } from "../widgets.js";

/** @typedef {import("../types.js").Inspection} Inspection */

const EARLIER = 20; // inspections of the same name

/** @type {import("../app.js").MakePage} */
export function reportPage(app, [id]) {
  const stop = new AbortController();
  const sheet = h("article", { class: "sheet panel" }, h("div", { class: "empty" }, t("loading")));
  const element = h("div", { class: "page report" },
    h("div", { class: "page-head" }, h("h1", {}, t("report.title")), h("span", { class: "grow" }),
      h("a", { class: "button", href: link("part", id) }, icon("left"), t("report.back")), h("button", { class: "main", onclick: () => window.print() }, t("report.print"))),
    sheet);
  const read = async () => {
    try {
      /** @type {Inspection} */
      const part = await get(ofPart(Number(id)), {}, stop.signal);
      const [{ versions }, { inspections }] = await Promise.all([
        get(`${ofClass(part.class)}/threshold/versions`, { model: part.model }, stop.signal),
        get("/v1/inspections", { class: part.class, part: part.part, limit: EARLIER }, stop.signal),
      ]);
      fill(sheet, ...contents(app, part, versions, inspections));
    } catch (error) {
      if (!stop.signal.aborted) fill(sheet, fault(error, () => void read()));
    }
  };
  void read();
  return { element, title: t("report.title"), destroy: () => stop.abort() };
}

/**
 * @param {App} app
 * @param {Inspection} part
 * @param {import("../types.js").Threshold[]} versions
 * @param {Inspection[]} same of the same name, newest first
 */
function contents(app, part, versions, same) {
  const limits = versions.find((one) => one.id === part.threshold);
  const fact = (/** @type {string} */ name, /** @type {import("../dom.js").Child | import("../dom.js").Child[]} */ value) => [h("dt", {}, name), h("dd", {}, value)];
  return [
    h("header", {}, h("h2", { class: "break" }, part.part), decisionTag(part.decision), h("span", { class: "grow" }), h("span", { class: "quiet" }, `${app.session.station} · ${part.class} · ${t("history.id")} ${part.id}`)),
    h("div", { class: "pictures" }, pictures(part)),
    h("div", { class: "columns" },
      h("dl", { class: "facts" },
        fact(t("part.at"), dateTime(part.at)), fact(t("part.origin"), word("origin", part.origin)),
        part.score !== null && [fact(t("part.score"), score(part.score)), fact(t("part.p_value"), num(part.p_value, 3)), fact(t("threshold.review_above"), num(part.review_above, 3)), fact(t("threshold.reject_above"), num(part.reject_above, 3))].flat(),
        fact(t("part.model"), `${part.model} (${part.detector})`), fact(t("models.calibration"), part.calibration),
        fact(t("part.threshold"), limits ? [`${limits.id}, ${t("threshold.by", { who: limits.who })}, ${dateTime(limits.at)}: `, limits.who === "station" ? message(limits.reason) : limits.reason] : String(part.threshold))),
      h("dl", { class: "facts" }, Object.entries(part.measures).map(([name, value]) => fact(streamName(name), measureOf(name, value))).flat())),
    (part.reason || part.notes.length > 0) && h("section", {}, h("h3", {}, t("part.notes")), h("ul", {}, [part.reason ?? "", ...part.notes].filter(Boolean).map((note) => h("li", {}, message(note))))),
    h("section", {}, h("h3", {}, t("report.verdicts")), (part.verdicts ?? []).length === 0 ? h("p", { class: "quiet" }, t("part.verdict_none"))
      : h("ul", {}, (part.verdicts ?? []).map((one) => h("li", { class: "row wrap" }, judgementTag(one.verdict), h("span", { class: "break" }, [one.kind, one.reason].filter(Boolean).join(" · ")), h("span", { class: "quiet" }, `${one.who}, ${dateTime(one.at)}`))))),
    same.length > 1 && h("section", {}, h("h3", {}, t("report.same")), h("table", { class: "plain" }, h("tbody", {}, same.map((one) => h("tr", {},
      h("td", {}, h("a", { href: link("part", one.id) }, `${t("history.id")} ${one.id}`)), h("td", {}, dateTime(one.at)), h("td", {}, decisionTag(one.decision)), h("td", { class: "number" }, score(one.score)), h("td", {}, judgementTag(one.verdict))))))),
    h("footer", { class: "quiet small" }, t("report.made", { at: dateTime(new Date().toISOString()), who: app.session.name ?? "", version: app.session.version })),
  ];
}

/** @param {Inspection} part */
function pictures(part) {
  if (part.pruned || !part.images.length) return [h("p", { class: "quiet" }, t("part.no_picture"))];
  const shown = part.images.filter((name) => name !== "xyz" || part.images.length === 1).slice(0, 2).map((name) => [address(imagePath(part.id, name), { crop: "window", size: 800 }), sourceName(name)]);
  if (part.maps.includes("fused")) shown.splice(1, 0, [address(ofPart(part.id, "/maps/fused.png"), { style: "overlay", crop: "window", size: 800 }), t("part.heat_of", { name: t("part.fused") })]);
  return shown.map(([src, text]) => h("figure", {}, h("img", { src, alt: `${part.part}: ${text}` }), h("figcaption", { class: "small quiet" }, text)));
}
