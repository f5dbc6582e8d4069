// @ts-check
/** Small things that several pages show. */

import { Problem, imagePath, picture } from "./api.js";
import { fill, h, icon, pen } from "./dom.js";
import { num, percent, score, t, word } from "./i18n.js";
import { worded } from "./messages.js";

/** @typedef {import("./types.js").Inspection} Inspection */

export const DECISION_ICONS = /** @type {const} */ ({ ok: "ok", review: "question", reject: "reject", invalid: "invalid" });
const JUDGEMENT_ICONS = /** @type {const} */ ({ good: "ok", defect: "reject", unsure: "question" });

/** @param {import("./types.js").Decision} decision */
export function decisionTag(decision) {
  return h("span", { class: `tag ${decision}` }, icon(DECISION_ICONS[decision]), t(`decision.${decision}`));
}

/** @param {import("./types.js").Judgement | null} judgement */
export function judgementTag(judgement) {
  if (!judgement) return h("span", { class: "quiet" }, "–");
  return h("span", { class: `tag ${judgement}` }, icon(JUDGEMENT_ICONS[judgement]), t(`verdict.${judgement}`));
}

/**
 * What went wrong, in the page's words where it has some, and in the station's own.
 * @param {unknown} error
 */
export function problemText(error) {
  if (!(error instanceof Problem)) return error instanceof Error ? error.message : String(error);
  const own = word("problem", error.code);
  const detail = worded(error.message);
  return own === error.code ? detail : detail ? `${own} ${detail}` : own;
}

/**
 * @param {unknown} error
 * @param {() => void} [again]
 */
export function fault(error, again) {
  return h("div", { class: "fault", role: "alert" }, icon("invalid"),
    h("div", {}, problemText(error)),
    again && h("button", { class: "slim", onclick: again }, t("again")));
}

/**
 * @param {keyof typeof DECISION_ICONS | "line" | "part" | "history" | "review" | "threshold" | "watch" | "models" | "teach"} name
 * @param {string} title
 * @param {string} [text]
 */
export function empty(name, title, text) {
  const sign = name in DECISION_ICONS ? DECISION_ICONS[/** @type {import("./types.js").Decision} */ (name)] : name;
  return h("div", { class: "empty" }, icon(/** @type {any} */ (sign)), h("strong", {}, title), text && h("p", {}, text));
}

/**
 * Fills a place with what a promise brings, or with what went wrong and a way to try again.
 * @template T
 * @param {HTMLElement} place
 * @param {() => Promise<T>} load
 * @param {(value: T) => (import("./dom.js").Child | import("./dom.js").Child[])} show
 */
export async function into(place, load, show) {
  place.setAttribute("aria-busy", "true");
  try {
    fill(place, show(await load()));
  } catch (error) {
    if (!(error instanceof DOMException && error.name === "AbortError")) {
      fill(place, fault(error, () => void into(place, load, show)));
    }
  } finally {
    place.removeAttribute("aria-busy");
  }
}

/** @type {Map<string, Promise<ImageBitmap>>} */
const thumbnails = new Map();
const KEPT_THUMBNAILS = 200;

/**
 * A small picture of a part, of the given size in CSS pixels.
 * @param {Inspection} part
 * @param {number} size
 * @returns {HTMLCanvasElement}
 */
export function thumbnail(part, size) {
  const ratio = Math.min(2, window.devicePixelRatio || 1);
  const canvas = h("canvas", { class: "thumb", "aria-hidden": "true", width: size * ratio, height: size * ratio });
  const name = part.images[0];
  if (!name || part.pruned) return canvas;
  const path = imagePath(part.id, name, part.window ? 192 : undefined);
  const found = thumbnails.get(path) ?? picture(path);
  thumbnails.set(path, found);
  if (thumbnails.size > KEPT_THUMBNAILS) thumbnails.delete(/** @type {string} */ (thumbnails.keys().next().value));
  found.then((bitmap) => {
    const scale = Math.max(canvas.width / bitmap.width, canvas.height / bitmap.height);
    const [width, height] = [bitmap.width * scale, bitmap.height * scale];
    const at = [(canvas.width - width) / 2, (canvas.height - height) / 2];
    pen(canvas).drawImage(bitmap, at[0], at[1], width, height);
  }, () => thumbnails.delete(path)); // an empty frame says enough in a strip; the part's page says why
  return canvas;
}

/**
 * A score on its scale, with both limits.
 * @param {Inspection} part
 * @param {string} [className]
 */
export function scoreBar(part, className = "") {
  const top = 2 * part.reject_above;
  const place = (/** @type {number} */ value) => `${Math.min(100, Math.max(0, (100 * value) / top))}%`;
  const label = t("part.score_bar", { score: score(part.score), review: num(part.review_above), reject: num(part.reject_above) });
  return h("div", { class: `score-bar ${className}`, role: "img", "aria-label": label, title: label },
    h("i", { class: "zone review", style: { left: place(part.review_above), right: `calc(100% - ${place(part.reject_above)})` } }),
    h("i", { class: "zone reject", style: { left: place(part.reject_above), right: "0" } }),
    className === "large" && h("span", { class: "at-limit", style: { left: place(part.reject_above) } }, `${t("part.limit")} `, h("b", {}, score(part.reject_above))),
    part.score !== null && h("i", { class: `needle ${part.decision} ${part.score > top ? "beyond" : ""}`, style: { left: place(part.score) } }));
}

/** @param {string} kind of a suggestion */
export function kindName(kind) {
  return kind || t("part.unlike");
}

/**
 * Which kind of defect a part may show, and how like the taught defects of each kind it is; nothing where no model
 * suggests any.
 * @param {Inspection} part
 */
export function suggestedKind(part) {
  const { kind_suggestion: suggestion } = part;
  if (!suggestion) return null;
  return h("div", { class: "stack suggested-kind" }, h("h3", {}, t("part.suggested")), h("strong", { class: "break" }, kindName(suggestion.kind)),
    h("div", { class: "bars small" }, Object.entries(suggestion.likeness).flatMap(([name, value]) => [
      h("span", { class: "break" }, name),
      h("span", { class: "track", "aria-hidden": "true", title: t("part.likeness", { percent: percent(value, 0) }) }, h("i", { style: { width: `${100 * value}%` } })),
      h("span", { class: "number" }, percent(value, 0)),
    ])));
}

/**
 * Buttons of which one is pressed.
 * @template {string} T
 * @param {string} label
 * @param {readonly (readonly [T, string])[]} options value and text
 * @param {T} chosen
 * @param {(value: T) => void} choose
 * @param {string} [className]
 */
export function choice(label, options, chosen, choose, className = "") {
  const buttons = options.map(([value, text]) => h("button", {
    type: "button",
    "aria-pressed": String(value === chosen),
    onclick: () => {
      for (const [index, button] of buttons.entries()) button.setAttribute("aria-pressed", String(options[index][0] === value));
      choose(value);
    },
  }, text));
  return h("div", { class: `choice ${className}`, role: "group", "aria-label": label }, buttons);
}

let toastTimer = 0;

/** @param {string} text said once, gone after some seconds */
export function toast(text) {
  document.querySelector(".toast")?.remove();
  clearTimeout(toastTimer);
  const element = h("div", { class: "toast", role: "status" }, text);
  document.body.append(element);
  toastTimer = window.setTimeout(() => element.remove(), 5000);
}

/**
 * Asks for what an act needs and does it; stays open with the reason where it fails.
 * @param {object} what
 * @param {string} what.title
 * @param {string} what.act text of the button
 * @param {import("./dom.js").Child[]} what.body
 * @param {(form: HTMLFormElement) => Promise<void>} what.does
 */
export function ask({ title, act, body, does }) {
  const problem = h("div", { "aria-live": "assertive" });
  const button = h("button", { class: "main", type: "submit" }, act);
  const form = h("form", { method: "dialog" }, h("h2", {}, title), body, problem,
    h("div", { class: "ends" }, h("button", { type: "button", onclick: () => dialog.close() }, t("cancel")), button));
  const dialog = h("dialog", { "aria-label": title, onclose: () => dialog.remove() }, form);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    button.disabled = true;
    try {
      await does(form);
      dialog.close();
    } catch (error) {
      fill(problem, fault(error));
    } finally {
      button.disabled = false;
    }
  });
  document.body.append(dialog);
  dialog.showModal();
}

/**
 * A field with its label.
 * @param {string} label
 * @param {HTMLElement} control
 */
export function field(label, control) {
  return h("label", { class: "field" }, h("span", {}, label), control);
}
