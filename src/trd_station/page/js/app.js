// @ts-check
/** What every page gets: who is here, which class, what is live; and how one page follows another. */

import { get } from "./api.js";
import { Live } from "./live.js";

/**
 * @typedef {{ element: HTMLElement, title: string, destroy?: () => void }} Page
 * @typedef {(app: App, rest: string[], query: URLSearchParams) => Page} MakePage
 */

const KEPT = "trd.class";
const RANKS = { viewer: 0, operator: 1, engineer: 2, admin: 3 };

export class App {
  constructor() {
    /** @type {import("./types.js").Session} */
    this.session = { name: null, role: null, tokens: true, version: "", station: "" };
    /** @type {import("./types.js").PartClass[]} */
    this.classes = [];
    this.className = "";
    this.live = new Live();
    /** Pages hold what is to be kept while others are looked at (the filter of the history, say). @type {Map<string, any>} */
    this.kept = new Map();
    /** Chooses a class and draws the frame anew; set by the shell. @type {(className: string) => void} */
    this.goTo = (className) => this.chooseClass(className);
    /** Draws everything anew, when the classes are others than before; set by the shell. */
    this.redraw = () => {};
  }

  async readSession() {
    this.session = await get("/v1/session");
    return this.session;
  }

  async readClasses() {
    this.classes = (await get("/v1/classes")).classes;
    const names = this.classes.map((one) => one.name);
    const wanted = this.className || localStorage.getItem(KEPT) || "";
    this.className = names.includes(wanted) ? wanted : (names[0] ?? "");
  }

  /** @returns {import("./types.js").PartClass | undefined} */
  get partClass() {
    return this.classes.find((one) => one.name === this.className);
  }

  /** @param {string} name */
  chooseClass(name) {
    this.className = name;
    localStorage.setItem(KEPT, name);
    this.kept.clear();
    this.live.state = null;
    this.live.open(name);
  }

  /** @param {import("./types.js").Role} role */
  may(role) {
    return this.session.role !== null && RANKS[this.session.role] >= RANKS[role];
  }
}

/**
 * @param {string} name
 * @param {string | number} [rest]
 * @param {Record<string, string>} [query]
 */
export function link(name, rest, query) {
  const text = query ? `?${new URLSearchParams(query)}` : "";
  return `#/${name}${rest === undefined ? "" : `/${encodeURIComponent(rest)}`}${text}`;
}

/** Page, its further parts and its query, as the address has them. */
export function route() {
  const [path, query = ""] = location.hash.replace(/^#\/?/, "").split("?");
  const [name, ...rest] = path.split("/").map(decodeURIComponent);
  return { name: name || "line", rest, query: new URLSearchParams(query) };
}
