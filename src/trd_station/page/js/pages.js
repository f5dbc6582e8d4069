// @ts-check
/** The pages in the order of the rail. */

import { historyPage } from "./pages/history.js";
import { linePage } from "./pages/line.js";
import { modelsPage } from "./pages/models.js";
import { partPage } from "./pages/part.js";
import { reviewPage } from "./pages/review.js";
import { teachPage } from "./pages/teach.js";
import { thresholdPage } from "./pages/threshold.js";
import { watchPage } from "./pages/watch.js";

/** @type {Record<string, { make: import("./app.js").MakePage, icon: "line" | "part" | "history" | "review" | "threshold" | "watch" | "models" | "teach", alone?: boolean }>} alone: needs no class that is served */
export const PAGES = {
  line: { make: linePage, icon: "line" },
  part: { make: partPage, icon: "part" },
  history: { make: historyPage, icon: "history" },
  review: { make: reviewPage, icon: "review" },
  threshold: { make: thresholdPage, icon: "threshold" },
  watch: { make: watchPage, icon: "watch" },
  models: { make: modelsPage, icon: "models" },
  teach: { make: teachPage, icon: "teach", alone: true },
};
