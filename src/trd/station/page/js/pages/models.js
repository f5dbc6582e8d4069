import { h } from "../dom.js";
export function modelsPage() { return { element: h("div", {}), title: "models" }; }
