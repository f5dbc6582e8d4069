// @ts-check
/** The good parts of a class: dropped or chosen, counted, looked at, discarded. */

import { address, get, here, send } from "../api.js";
import { App } from "../app.js";
import { droppedFiles, partsIn } from "../collecting.js";
import { fill, h, icon } from "../dom.js";
import { num, percent, t } from "../i18n.js";
import { ask, fault, toast } from "../widgets.js";
import { CameraPanel } from "./teach-camera.js";

/** @typedef {import("../types.js").TaughtClass} TaughtClass */
/** @typedef {{ name: string, files: Record<string, string> }} GoodPart */
/** @typedef {{ sent_as: string, state: "kept" | "copy" | "refused", name: string | null, reason: string | null }} Collected */

export const ofTaught = (/** @type {string} */ name) => `/v1/teaching/${encodeURIComponent(name)}`;
const AT_ONCE = 4; // parts of a request
const SHOWN = 48; // pictures

export class PartsPanel {
  /**
   * @param {App} app
   * @param {() => void} changed
   */
  constructor(app, changed) {
    this.app = app;
    this.changed = changed;
    this.may = app.may("operator");
    this.counter = h("div", { class: "counter", role: "status" });
    this.news = h("div", { class: "stack", "aria-live": "polite" });
    this.grid = h("ul", { class: "good-parts" });
    this.cameraPlace = h("div", {});
    this.folder = h("p", { class: "small quiet break" });
    const files = h("input", { type: "file", multiple: true, class: "unseen", "aria-label": t("teach.files"), onchange: () => this.#chosen(files) });
    const folder = h("input", { type: "file", webkitdirectory: true, class: "unseen", "aria-label": t("teach.folder"), onchange: () => this.#chosen(folder) });
    const calibration = h("input", { type: "file", accept: ".json", class: "unseen", "aria-label": "camera.json", onchange: () => void this.#calibrate(calibration) });
    this.sensor = h("button", { hidden: true, title: t("teach.sensor_text"), onclick: () => calibration.click() });
    const zone = h("div", { class: "drop-zone" }, icon("upload"), h("span", {}, t("teach.drop")),
      h("div", { class: "row wrap" }, h("button", { onclick: () => folder.click() }, t("teach.folder")), h("button", { onclick: () => files.click() }, t("teach.files")),
        h("button", { onclick: () => this.#fromHistory() }, t("teach.from_history")), this.sensor), files, folder, calibration);
    for (const kind of ["dragover", "dragenter", "dragleave", "drop"]) {
      zone.addEventListener(kind, (event) => {
        event.preventDefault();
        zone.classList.toggle("over", kind.startsWith("drago") || kind === "dragenter");
      });
    }
    zone.addEventListener("drop", (event) => event.dataTransfer && void droppedFiles(event.dataTransfer).then((dropped) => this.#collect(dropped)));
    this.element = h("section", { class: "panel parts-panel" }, h("header", {}, h("h2", {}, t("teach.parts"))),
      h("div", { class: "body stack" }, this.counter, this.may && zone, this.cameraPlace, this.news, this.grid, this.folder));
    /** @type {TaughtClass | undefined} */
    this.taught = undefined;
    this.listed = "";
    this.stop = new AbortController();
    /** @type {CameraPanel | undefined} */
    this.camera = undefined;
  }

  destroy() {
    this.stop.abort();
    this.camera?.destroy();
  }

  /** @param {TaughtClass} taught */
  show(taught) {
    this.taught = taught;
    const { parts, needed, recommended } = taught;
    if (this.may && this.app.may("engineer") && taught.layout === "colour" && this.camera?.name !== taught.name) {
      this.camera?.destroy();
      this.camera = new CameraPanel(taught.name, (added) => {
        fill(this.news);
        this.#report(added);
        this.changed();
      });
    }
    this.sensor.hidden = taught.layout === "colour" || !this.app.may("engineer");
    fill(this.sensor, taught.has_camera && icon("ok"), "camera.json");
    fill(this.cameraPlace, taught.layout === "colour" && this.camera ? this.camera.element : null);
    const target = (/** @type {string} */ key, /** @type {number} */ count) => h("li", { class: parts >= count ? "reached" : "" },
      icon(parts >= count ? "ok" : "question"), t(key, { n: count }));
    fill(this.counter, h("strong", { class: "count" }, num(parts, 0)), h("span", {}, t("teach.good_parts", { n: parts })),
      h("progress", { max: recommended, value: Math.min(parts, recommended), "aria-label": t("teach.recommended", { n: recommended }) }),
      h("ul", {}, target("teach.needed", needed), target("teach.recommended", recommended)),
      taught.promised_rate !== null && h("span", { class: "small quiet" }, t("teach.promised", { rate: percent(taught.promised_rate) })));
    fill(this.folder, t("teach.on_disk"), " ", h("code", {}, taught.folder), h("br"), t("teach.dropped"), " ", h("code", {}, taught.drop));
    void this.#list();
  }

  async #list() {
    const { taught, stop } = this;
    if (!taught) return;
    const now = `${taught.name}\n${taught.parts}`;
    if (now === this.listed) return;
    this.listed = now;
    try {
      /** @type {{ parts: GoodPart[] }} */
      const { parts } = await get(`${ofTaught(taught.name)}/parts`, {}, stop.signal);
      fill(this.grid, parts.slice(-SHOWN).reverse().map((part) => this.#part(taught, part)),
        parts.length > SHOWN && h("li", { class: "quiet small" }, t("teach.more_parts", { n: parts.length - SHOWN })));
    } catch (error) {
      this.listed = "";
      if (!stop.signal.aborted) fill(this.grid, h("li", {}, fault(error, () => void this.#list())));
    }
  }

  /**
   * @param {TaughtClass} taught
   * @param {GoodPart} part
   */
  #part(taught, part) {
    const source = taught.sources[0].name;
    return h("li", {}, h("img", { src: picturePath(taught.name, part.name, source), alt: part.name, loading: "lazy", width: 88, height: 88 }),
      h("span", { class: "small break" }, part.name),
      this.may && h("button", { class: "bare slim square", title: t("teach.discard", { part: part.name }), "aria-label": t("teach.discard", { part: part.name }),
        onclick: () => void this.discard(part.name) }, icon("reject")));
  }

  /** @param {string} name */
  async discard(name) {
    if (!this.taught) return;
    try {
      await send("DELETE", `${ofTaught(this.taught.name)}/parts/${encodeURIComponent(name)}`);
      toast(t("teach.discarded", { part: name }));
      this.changed();
    } catch (error) {
      fill(this.news, fault(error));
    }
  }

  /** @param {HTMLInputElement} input with a camera.json */
  async #calibrate(input) {
    const [file] = input.files ?? [];
    if (!file || !this.taught) return;
    input.value = "";
    try {
      await send("PUT", `${ofTaught(this.taught.name)}/camera`, JSON.parse(await file.text()));
      fill(this.news, h("p", {}, t("teach.sensor_kept")));
      this.changed();
    } catch (error) {
      fill(this.news, fault(error));
    }
  }

  /** @param {HTMLInputElement} input */
  #chosen(input) {
    const files = [...(input.files ?? [])].map((file) => ({ path: file.webkitRelativePath || file.name, file }));
    input.value = "";
    void this.#collect(files);
  }

  /** @param {import("../collecting.js").Found[]} files */
  async #collect(files) {
    const { taught } = this;
    if (!taught || !files.length) return;
    const { parts, lone, left } = partsIn(files, taught.sources);
    const bar = h("progress", { max: parts.length, value: 0, "aria-label": t("teach.sending") });
    fill(this.news, lone.length > 0 && note(t("teach.lone", { n: lone.length, names: some(lone) })), left > 0 && note(t("teach.left", { n: left })), bar);
    /** @type {Collected[]} */
    const added = [];
    try {
      for (let first = 0; first < parts.length; first += AT_ONCE) {
        const form = new FormData();
        for (const part of parts.slice(first, first + AT_ONCE)) {
          for (const [source, file] of Object.entries(part.files)) form.append(source, file, file.name);
          form.append("part", part.name);
        }
        /** @type {{ parts: Collected[] }} */
        const answer = await send("POST", `${ofTaught(taught.name)}/parts`, form);
        added.push(...answer.parts);
        bar.value = Math.min(parts.length, first + AT_ONCE);
      }
      bar.remove();
    } catch (error) {
      bar.remove();
      this.news.append(fault(error));
    }
    this.#report(added);
    this.changed();
  }

  /** @param {Collected[]} added what became of parts */
  #report(added) {
    const outcomes = { kept: 0, copy: 0, refused: 0 };
    for (const one of added) outcomes[one.state] += 1;
    const odd = added.filter((one) => one.state !== "kept");
    this.news.append(h("p", { class: "collected" }, t("teach.collected", { n: outcomes.kept }),
      outcomes.copy > 0 && ` ${t("teach.copies", { n: outcomes.copy })}`, outcomes.refused > 0 && ` ${t("teach.refused", { n: outcomes.refused })}`));
    if (odd.length) {
      this.news.append(h("details", { open: outcomes.refused > 0 }, h("summary", {}, t("details")), h("ul", { class: "small", lang: "en" }, odd.map((one) =>
        h("li", {}, h("b", {}, one.sent_as), " ", one.state === "copy" ? `= ${one.name}` : one.reason)))));
    }
  }

  #fromHistory() {
    const { taught } = this;
    if (!taught) return;
    const most = h("input", { type: "number", min: 1, max: 500, value: 50, class: "narrow" });
    ask({
      title: t("teach.from_history"),
      act: t("teach.take"),
      body: [h("p", {}, t("teach.from_history_text", { class: taught.name })), h("label", { class: "field" }, h("span", {}, t("teach.at_most")), most)],
      does: async () => {
        /** @type {{ inspections: import("../types.js").Inspection[] }} */
        const { inspections } = await get("/v1/inspections", { class: taught.name, verdict: "good", limit: Number(most.value) });
        if (!inspections.length) throw new Error(t("teach.none_judged"));
        /** @type {{ parts: Collected[] }} */
        const answer = await send("POST", `${ofTaught(taught.name)}/parts/from-history`, { inspections: inspections.map((one) => one.id) });
        fill(this.news);
        this.#report(answer.parts);
        this.changed();
      },
    });
  }
}

/**
 * @param {string} name of the class
 * @param {string} part
 * @param {string} source
 * @param {number} [size]
 */
export function picturePath(name, part, source, size = 176) {
  return here(address(`${ofTaught(name)}/parts/${encodeURIComponent(part)}/${encodeURIComponent(source)}.png`, { size }));
}

/** @param {string} text */
function note(text) {
  return h("div", { class: "note" }, h("div", {}, text));
}

/** @param {string[]} names */
function some(names) {
  return names.slice(0, 3).join(", ") + (names.length > 3 ? ", …" : "");
}
