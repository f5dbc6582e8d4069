// @ts-check
/** What `trd check` says of the good parts: what would stop training, what is doubtful, which parts are strange. */

import { get, here, send } from "../api.js";
import { App } from "../app.js";
import { h } from "../dom.js";
import { num, t, word } from "../i18n.js";
import { fault, into } from "../widgets.js";
import { ofTaught } from "./teach-parts.js";
import { asking, fitOf, jobLine } from "./teach-train.js";

/** @typedef {import("../types.js").TaughtClass} TaughtClass */
/** @typedef {{ name: string, strangeness: number, pictures: Record<string, string> }} PartPicture */
/** @typedef {{ problems: string[], warnings: string[], facts: Record<string, string>, look_above: number, strangest: PartPicture[], ordinary: PartPicture[] }} Check */

/**
 * @param {App} app
 * @param {TaughtClass} taught
 * @param {() => void} changed
 */
export function checkPanel(app, taught, changed) {
  const job = taught.jobs.find((one) => one.kind === "check");
  const result = h("div", { class: "stack" });
  if (job?.state === "done") {
    void into(result, () => get(`/v1/jobs/${job.id}`), (/** @type {{ result: Check }} */ found) => shown(app, taught, job.id, found.result, changed));
  }
  return h("section", { class: "panel check-panel" }, h("header", {}, h("h2", {}, t("teach.check")), h("span", { class: "grow" }),
    app.may("engineer") && asking(taught, t("teach.check_act"), () => fitOf(app, taught, "check", "first"))),
  h("div", { class: "body stack" }, h("p", { class: "small quiet" }, t("teach.check_text")),
    job && job.state !== "done" && jobLine(app, job), result));
}

/**
 * @param {App} app
 * @param {TaughtClass} taught
 * @param {number} number of the job
 * @param {Check} check
 * @param {() => void} changed
 */
function shown(app, taught, number, check, changed) {
  const part = (/** @type {PartPicture} */ one) => h("li", { class: one.strangeness > check.look_above ? "strange" : "" },
    h("div", { class: "row wrap" }, h("b", { class: "break" }, one.name), h("span", { class: "quiet small" }, t("teach.strangeness", { value: num(one.strangeness, 1) })), h("span", { class: "grow" }),
      app.may("operator") && h("button", { class: "slim", onclick: async (/** @type {Event} */ event) => {
        const button = /** @type {HTMLButtonElement} */ (event.currentTarget);
        button.disabled = true;
        try {
          await send("DELETE", `${ofTaught(taught.name)}/parts/${encodeURIComponent(one.name)}`);
          button.textContent = t("teach.gone");
          changed();
        } catch (error) {
          button.closest("li")?.append(fault(error));
        }
      } }, t("teach.discard_act"))),
    h("div", { class: "pictures" }, Object.entries(one.pictures).map(([label, name]) => h("figure", {},
      h("img", { src: here(`/v1/jobs/${number}/pictures/${encodeURIComponent(name)}`), alt: `${one.name}, ${label}`, loading: "lazy" }), h("figcaption", { class: "small quiet" }, word("picture", label))))));
  return [
    ...check.problems.map((line) => h("div", { class: "fault", lang: "en" }, h("div", {}, line))),
    ...check.warnings.map((line) => h("div", { class: "note", lang: "en" }, h("div", {}, line))),
    h("dl", { class: "facts", lang: "en" }, Object.entries(check.facts).map(([label, text]) => [h("dt", {}, label), h("dd", {}, text)]).flat()),
    check.strangest.length > 0 && h("h3", {}, t("teach.strangest")),
    h("ul", { class: "strangest" }, check.strangest.map(part)),
    check.ordinary.length > 0 && h("details", {}, h("summary", {}, t("teach.ordinary")), h("ul", { class: "strangest" }, check.ordinary.map((one) => part(one)))),
  ];
}
