// @ts-check
/** What happens at the station, as it happens. */

import { address, here } from "./api.js";

/**
 * @typedef {object} Heard
 * @property {import("./types.js").Inspection} inspection
 * @property {import("./types.js").Verdict} verdict
 * @property {import("./types.js").StationEvent} event
 * @property {import("./types.js").State} state
 * @property {{ what: string, class: string }} changed
 * @property {import("./types.js").Job} job
 * @property {"open" | "waiting"} connection
 * @property {null} refused the station answers, but not with a stream: who asks may no longer be known to it
 */

const KINDS = /** @type {const} */ (["inspection", "verdict", "event", "state", "changed", "job"]);
const SILENCE_MS = 8000; // the station speaks every 2 s

export class Live {
  constructor() {
    /** @type {Map<string, Set<(data: any) => void>>} */
    this.listeners = new Map();
    /** @type {EventSource | null} */
    this.source = null;
    /** @type {import("./types.js").State | null} */
    this.state = null;
    this.connected = false;
    this.watchdog = 0;
    this.retry = 0;
    this.className = "";
    this.wanted = false;
    /** Whether something may have happened that nobody was told, as the page was hidden. */
    this.behind = false;
    document.addEventListener("visibilitychange", () => this.#seen());
  }

  /**
   * A page that is not looked at waits until it is: a browser has six connections to a station for all its pages.
   * @param {string} className
   */
  open(className) {
    this.close();
    this.className = className;
    this.wanted = true;
    if (document.hidden) {
      this.behind = true;
      return;
    }
    const source = new EventSource(here(address("/v1/live", { class: className })));
    this.source = source;
    source.onopen = () => this.#heard();
    source.onerror = () => {
      this.#connection(false);
      if (source.readyState === EventSource.CLOSED) this.#again(); // refused for good, which the browser does not retry
    };
    source.addEventListener("hello", () => this.#heard());
    for (const kind of KINDS) {
      source.addEventListener(kind, (message) => {
        this.#heard();
        const data = JSON.parse(/** @type {MessageEvent} */ (message).data);
        if (kind === "state") this.state = data;
        this.#tell(kind, data);
      });
    }
  }

  close() {
    clearTimeout(this.watchdog);
    clearTimeout(this.retry);
    this.source?.close();
    this.source = null;
    this.wanted = false;
  }

  #seen() {
    if (!this.wanted || document.hidden === (this.source === null)) return;
    this.open(this.className);
    if (!document.hidden) this.#guard(); // it may not even be refused
  }

  /**
   * @template {keyof Heard} K
   * @param {K} kind
   * @param {(data: Heard[K]) => void} listener
   * @returns {() => void} ends it
   */
  on(kind, listener) {
    const those = this.listeners.get(kind) ?? new Set();
    this.listeners.set(kind, those.add(listener));
    return () => those.delete(listener);
  }

  #heard() {
    this.#connection(true);
    this.#guard();
  }

  /** What is silent for too long is lost. */
  #guard() {
    clearTimeout(this.watchdog);
    this.watchdog = window.setTimeout(() => {
      this.#connection(false);
      this.open(this.className);
    }, SILENCE_MS);
  }

  #again() {
    this.#tell("refused", null);
    clearTimeout(this.retry);
    this.retry = window.setTimeout(() => this.open(this.className), 3000);
  }

  /** @param {boolean} connected */
  #connection(connected) {
    const news = connected !== this.connected || (connected && this.behind);
    if (connected) this.behind = false;
    this.connected = connected;
    if (news) this.#tell("connection", connected ? "open" : "waiting");
  }

  /**
   * @param {string} kind
   * @param {any} data
   */
  #tell(kind, data) {
    for (const listener of this.listeners.get(kind) ?? []) listener(data);
  }
}
