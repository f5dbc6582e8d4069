// @ts-check
/** Where the station wants a token. */

import { Problem, get, send } from "../api.js";
import { App } from "../app.js";
import { fill, h, icon } from "../dom.js";
import { t } from "../i18n.js";
import { fault, field } from "../widgets.js";

/**
 * @param {App} app
 * @param {() => void} done
 */
export function signIn(app, done) {
  const token = h("input", { type: "password", autocomplete: "current-password", required: true, name: "token" });
  const problem = h("div", { "aria-live": "assertive" });
  const form = h("form", { onsubmit: async (/** @type {Event} */ event) => {
    event.preventDefault();
    try {
      await send("POST", "/v1/session", { token: token.value });
      const { role } = await get("/v1/session");
      if (role === null) throw new Problem(0, "not_kept", "");
      done();
    } catch (error) {
      fill(problem, fault(error));
      token.select();
    }
  } },
  h("div", { class: "row" }, h("img", { src: "icon.svg", alt: "" }), h("div", {},
    h("h1", {}, app.session.station || t("signin.title")), h("p", { class: "quiet" }, t("signin.text")))),
  field(t("signin.token"), token), problem,
  h("button", { class: "main", type: "submit" }, icon("lock"), t("signin.enter")));
  return h("main", { class: "panel sign-in" }, form);
}
