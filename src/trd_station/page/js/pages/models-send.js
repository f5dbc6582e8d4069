// @ts-check
/** Sending a package to the station: chosen, sent, tested there; it does not serve yet. */

import { Problem, get, ofClass, sendFile } from "../api.js";
import { fill, h } from "../dom.js";
import { num, t } from "../i18n.js";
import { ask, field, toast } from "../widgets.js";

/** @typedef {import("../types.js").Model} Model */

/**
 * Closing the dialog ends the sending; what has arrived whole is tested all the same.
 * @param {string} className
 * @param {() => void} done the list of models has changed
 */
export function sendDialog(className, done) {
  const input = h("input", { type: "file", required: true, accept: ".trdm" });
  const state = h("div", { class: "stack" });
  const closed = new AbortController();
  ask({
    title: t("models.send"),
    act: t("models.send_act"),
    body: [h("p", { class: "quiet" }, t("models.send_text", { class: className })), field(t("models.file"), input), state],
    does: async (form) => {
      const [file] = input.files ?? [];
      if (!file) return;
      form.closest("dialog")?.addEventListener("close", () => closed.abort());
      try {
        const model = await sent(className, file, state, closed.signal);
        toast(t(model.state === "serving" ? "models.switched" : "models.sent", { name: model.name }));
      } finally {
        fill(state);
        done(); // one that did not pass its self-test is listed as well
      }
    },
  });
}

/**
 * @param {string} className
 * @param {File} file
 * @param {HTMLElement} state where it says how far it has got
 * @param {AbortSignal} signal
 * @returns {Promise<Model>}
 */
async function sent(className, file, state, signal) {
  // asked before: a station that refuses a body ends the connection, and the browser then has no answer to show
  const { max_model_bytes: most } = await get("/v1/settings", {}, signal);
  if (file.size > most) throw new Problem(413, "too_large", t("models.too_large", { size: num(file.size / 1e6, 1), most: num(most / 1e6, 1) }));
  const bar = h("progress", { max: 1, value: 0, "aria-label": t("models.sending") });
  const text = h("span", { class: "small quiet", role: "status" }, t("models.sending"));
  fill(state, bar, text);
  return sendFile(`${ofClass(className)}/models/package`, file, (share) => {
    bar.value = share;
    if (share === 1) fill(text, t("models.loading"));
  }, signal);
}
