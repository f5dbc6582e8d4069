// @ts-check
/** Sending a package to the station: chosen, sent, tested there; it does not serve yet. */

import { Problem, address, get, ofClass, sendFile } from "../api.js";
import { fill, h } from "../dom.js";
import { num, t } from "../i18n.js";
import { ask, field, toast } from "../widgets.js";

/** @typedef {import("../types.js").Model} Model */

/**
 * Closing the dialog ends the sending; what has arrived whole is tested all the same.
 * @param {string} className
 * @param {(className: string) => void} done the list of models of that class has changed
 */
export function sendDialog(className, done) {
  const input = h("input", { type: "file", required: true, accept: ".trdm" });
  const wanted = h("input", { type: "text", required: true, maxlength: 200, value: className });
  const meant = h("div", {});
  const state = h("div", { class: "stack" });
  /** The class that the package names where it is meant for another one. @type {string | null} */
  let trainedAs = null;
  for (const control of [input, wanted]) control.addEventListener("input", () => {
    fill(meant);
    trainedAs = null;
  });
  const closed = new AbortController();
  ask({
    title: t("models.send"),
    act: t("models.send_act"),
    body: [h("p", { class: "quiet" }, t("models.send_text")), field(t("models.file"), input), field(t("models.class"), wanted), meant, state],
    does: async (form) => {
      const [file] = input.files ?? [];
      if (!file) return;
      form.closest("dialog")?.addEventListener("close", () => closed.abort());
      try {
        const path = address(`${ofClass(wanted.value.trim())}/models/package`, { trained_as: trainedAs });
        const model = await sent(path, file, state, closed.signal);
        toast(t(model.state === "serving" ? "models.switched" : "models.sent", { name: model.name }));
      } catch (error) {
        if (error instanceof Problem && error.code === "other_class") fill(meant, consent(error.more.trained_as));
        throw error;
      } finally {
        fill(state);
        done(wanted.value.trim()); // one that did not pass its self-test is listed as well
      }
    },
  });

  /** @param {string} name of the package's own class */
  function consent(name) {
    const box = h("input", { type: "checkbox", onchange: () => (trainedAs = box.checked ? name : null) });
    return h("label", { class: "check" }, box, t("models.meant", { class: wanted.value.trim() }));
  }
}

/**
 * @param {string} path
 * @param {File} file
 * @param {HTMLElement} state where it says how far it has got
 * @param {AbortSignal} signal
 * @returns {Promise<Model>}
 */
async function sent(path, file, state, signal) {
  // asked before: a station that refuses a body ends the connection, and the browser then has no answer to show
  const { max_model_bytes: most } = await get("/v1/settings", {}, signal);
  if (file.size > most) throw new Problem(413, "too_large", t("models.too_large", { size: num(file.size / 1e6, 1), most: num(most / 1e6, 1) }));
  const bar = h("progress", { max: 1, value: 0, "aria-label": t("models.sending") });
  const text = h("span", { class: "small quiet", role: "status" }, t("models.sending"));
  fill(state, bar, text);
  return sendFile(path, file, (share) => {
    bar.value = share;
    if (share === 1) fill(text, t("models.loading"));
  }, signal);
}
