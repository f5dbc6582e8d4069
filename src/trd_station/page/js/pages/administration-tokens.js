// @ts-check
/** Who may use the station: tokens made, shown once, and taken away. */

import { address, get, send, signedOut } from "../api.js";
import { App } from "../app.js";
import { fill, h, icon } from "../dom.js";
import { NOTHING, dateTime, t } from "../i18n.js";
import { ask, field, into, toast } from "../widgets.js";

/** @typedef {{ name: string, role: import("../types.js").Role, made: string | null, seen: string | null }} Token */

const ROLES = /** @type {const} */ (["viewer", "operator", "engineer", "admin"]);

/**
 * @param {App} app
 * @param {AbortSignal} signal
 */
export function tokensPanel(app, signal) {
  const list = h("div", { class: "table-panel" });
  const read = () => into(list, () => get("/v1/tokens", {}, signal), ({ tokens }) => table(tokens, read));
  void read();
  return h("section", { class: "panel" },
    h("header", {}, h("h2", {}, t("administration.tokens")), h("span", { class: "grow" }),
      h("button", { class: "slim", onclick: () => add(app, read) }, t("administration.add"))),
    list);
}

/**
 * @param {Token[]} tokens
 * @param {() => void} changed
 */
function table(tokens, changed) {
  if (!tokens.length) return h("p", { class: "panel-text quiet" }, t("administration.no_tokens"));
  const heads = ["name", "role", "made", "seen"];
  return h("table", { class: "tokens" }, h("caption", { class: "unseen" }, t("administration.tokens")),
    h("thead", {}, h("tr", {}, heads.map((name) => h("th", { scope: "col" }, t(`administration.${name}`))), h("td", {}))),
    h("tbody", {}, tokens.map((one) => h("tr", {},
      h("th", { scope: "row", class: "break" }, one.name),
      h("td", {}, t(`role.${one.role}`)),
      h("td", {}, one.made ? dateTime(one.made) : NOTHING),
      h("td", {}, one.seen ? dateTime(one.seen) : t("administration.never")),
      h("td", { class: "number" }, h("button", { class: "slim", "aria-label": t("administration.remove_of", { name: one.name }), onclick: () => remove(one.name, changed) }, t("administration.remove")))))));
}

/**
 * @param {App} app
 * @param {() => void} changed
 */
function add(app, changed) {
  const name = h("input", { required: true, maxlength: 100, autocomplete: "off" });
  const first = !app.session.tokens;
  const role = h("select", {}, ROLES.map((one) => h("option", { value: one, selected: one === (first ? "admin" : "operator"), disabled: first && one !== "admin" }, t(`administration.may.${one}`))));
  ask({
    title: t("administration.add"),
    act: t("administration.make"),
    body: [
      first && h("div", { class: "note" }, icon("lock"), h("div", {}, t("administration.first"))),
      field(t("administration.name"), name), field(t("administration.role"), role),
    ],
    does: async () => {
      const made = await send("POST", "/v1/tokens", { name: name.value.trim(), role: role.value });
      shown(made, () => {
        if (first) signedOut.tell(); // from now on everyone is asked for one
        else changed();
      });
    },
  });
}

/**
 * The token, once. Closing it is the only way on: whoever has not copied it makes another.
 * @param {{ name: string, token: string }} made
 * @param {() => void} done
 */
function shown(made, done) {
  const value = h("input", { value: made.token, readonly: true, class: "grow", "aria-label": t("signin.token"), onfocus: () => value.select() });
  const copied = h("span", { class: "small quiet", role: "status" });
  const copy = h("button", { type: "button", onclick: async () => {
    value.select();
    await navigator.clipboard?.writeText(made.token).then(() => fill(copied, t("administration.copied")), () => {}); // it is selected at least
  } }, t("administration.copy"));
  const dialog = h("dialog", { "aria-label": t("administration.made_for", { name: made.name }), onclose: () => { dialog.remove(); done(); } },
    h("form", { method: "dialog" }, h("h2", {}, t("administration.made_for", { name: made.name })),
      h("p", {}, t("administration.once")), h("div", { class: "row" }, value, copy), copied,
      h("div", { class: "ends" }, h("button", { class: "main", type: "submit" }, t("administration.done")))));
  document.body.append(dialog);
  dialog.showModal();
}

/**
 * @param {string} name
 * @param {() => void} changed
 */
function remove(name, changed) {
  ask({
    title: t("administration.remove_of", { name }),
    act: t("administration.remove"),
    body: [h("p", {}, t("administration.remove_text"))],
    does: async () => {
      await send("DELETE", address("/v1/tokens", { name }));
      toast(t("administration.removed", { name }));
      changed();
    },
  });
}
