import { h } from "../dom.js";
export function watchPage() { return { element: h("div", {}), title: "watch" }; }
