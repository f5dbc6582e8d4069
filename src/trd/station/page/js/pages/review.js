import { h } from "../dom.js";
export function reviewPage() { return { element: h("div", {}), title: "review" }; }
