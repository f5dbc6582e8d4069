// @ts-check
/** Recording what a person says of a part. */

import { get, ofClass, ofPart, send } from "./api.js";
import { h } from "./dom.js";
import { t } from "./i18n.js";
import { toast } from "./widgets.js";

/** @typedef {import("./types.js").Judgement} Judgement */

export const JUDGEMENTS = /** @type {readonly Judgement[]} */ (["good", "defect", "unsure"]);

/**
 * @param {number} id of the inspection
 * @param {object} said
 * @param {Judgement} said.verdict
 * @param {string} [said.kind]
 * @param {string} [said.reason]
 * @param {string | null} [said.mask]
 * @returns {Promise<import("./types.js").Verdict>}
 */
export async function record(id, { verdict, kind, reason, mask }) {
  /** @type {Record<string, string>} */
  const body = { verdict };
  if (kind) body.kind = kind;
  if (reason) body.reason = reason;
  if (mask) body.mask = mask;
  const recorded = await send("POST", ofPart(id, "/verdicts"), body);
  toast(t("part.verdict_saved", { verdict: t(`verdict.${verdict}`) }));
  return recorded;
}

/**
 * Kinds of defect used before, most frequent first.
 * @param {string} className
 * @returns {Promise<string[]>}
 */
export async function kinds(className) {
  return (await get(`${ofClass(className)}/kinds`)).kinds;
}

/**
 * An input for the kind of defect that offers those used before.
 * @param {string} className
 */
export function kindInput(className) {
  const list = h("datalist", { id: "kinds" });
  kinds(className).then((names) => list.append(...names.map((name) => h("option", { value: name }))), () => {}); // only a help
  return { list, input: h("input", { type: "text", list: "kinds", maxlength: 60 }) };
}
