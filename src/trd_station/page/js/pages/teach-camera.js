// @ts-check
/** Good parts from a camera: what it sees now, taken by hand or every few seconds. */

import { address, here, send } from "../api.js";
import { fill, h } from "../dom.js";
import { t } from "../i18n.js";
import { fault, field } from "../widgets.js";
import { ofTaught } from "./teach-parts.js";

const LOOK_MS = 700;

export class CameraPanel {
  /**
   * @param {string} name of the class
   * @param {(parts: import("./teach-parts.js").Collected[]) => void} collected
   */
  constructor(name, collected) {
    this.name = name;
    this.collected = collected;
    this.camera = h("input", { type: "text", value: "0", class: "narrow" });
    this.every = h("input", { type: "number", min: 0, max: 3600, step: "any", value: 0, class: "narrow" });
    this.picture = h("img", { class: "camera-picture", alt: t("teach.camera_picture"), hidden: true });
    this.problem = h("div", { "aria-live": "polite" });
    this.look = h("button", { "aria-pressed": "false", onclick: () => (this.running ? this.destroy() : this.#begin()) }, t("teach.camera_look"));
    this.running = false;
    this.timers = [0, 0];
    this.element = h("details", {}, h("summary", {}, t("teach.camera")), h("div", { class: "stack" },
      h("div", { class: "row wrap ends" }, field(t("teach.camera_address"), this.camera), field(t("teach.camera_every"), this.every), this.look,
        h("button", { onclick: () => void this.#take() }, t("teach.camera_take"))), this.problem, this.picture));
    this.picture.addEventListener("load", () => this.#again());
    this.picture.addEventListener("error", () => {
      if (this.running) fill(this.problem, fault(new Error(t("teach.camera_none"))));
      this.destroy();
    });
  }

  destroy() {
    this.running = false;
    this.look.setAttribute("aria-pressed", "false");
    for (const timer of this.timers) clearTimeout(timer);
    this.picture.hidden = true;
  }

  #begin() {
    this.running = true;
    this.look.setAttribute("aria-pressed", "true");
    this.picture.hidden = false;
    fill(this.problem);
    this.#show();
    this.#soon();
  }

  #show() {
    this.picture.src = here(address(`${ofTaught(this.name)}/camera.jpg`, { address: this.camera.value.trim(), at: Date.now() }));
  }

  #again() {
    if (this.running) this.timers[0] = window.setTimeout(() => this.#show(), LOOK_MS);
  }

  #soon() {
    const seconds = Number(this.every.value);
    this.timers[1] = window.setTimeout(async () => {
      if (seconds > 0) await this.#take();
      if (this.running) this.#soon();
    }, 1000 * Math.max(seconds, 1));
  }

  async #take() {
    try {
      const answer = await send("POST", `${ofTaught(this.name)}/parts/from-camera`, { address: this.camera.value.trim() });
      fill(this.problem);
      this.collected(answer.parts);
    } catch (error) {
      fill(this.problem, fault(error));
    }
  }
}
