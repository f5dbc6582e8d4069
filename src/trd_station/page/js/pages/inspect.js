// @ts-check
/** Inspecting a part from files by hand. */

import { ofClass, send } from "../api.js";
import { App, link } from "../app.js";
import { h } from "../dom.js";
import { t } from "../i18n.js";
import { ask, field } from "../widgets.js";

/** @param {App} app */
export function inspectDialog(app) {
  const kind = app.partClass;
  if (!kind) return;
  const files = kind.sources.map((source) => h("input", { type: "file", name: source.name, required: true, accept: source.suffixes.join(",") }));
  const name = h("input", { type: "text", maxlength: 200, placeholder: t("inspect.name_default") });
  ask({
    title: t("inspect.title"),
    act: t("inspect.act"),
    body: [
      h("p", { class: "quiet" }, t("inspect.text", { class: kind.name })),
      ...kind.sources.map((source, index) => field(`${source.name} (${source.suffixes.join(" ")})`, files[index])),
      field(t("inspect.name"), name),
    ],
    does: async () => {
      const form = new FormData();
      for (const input of files) {
        const [file] = input.files ?? [];
        if (file) form.append(input.name, file, file.name);
      }
      if (name.value.trim()) form.append("part", name.value.trim());
      const { inspections } = await send("POST", `${ofClass(kind.name)}/inspections`, form);
      location.hash = link("part", inspections[0].id);
    },
  });
}
