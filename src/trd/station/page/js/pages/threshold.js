import { h } from "../dom.js";
export function thresholdPage() { return { element: h("div", {}), title: "threshold" }; }
