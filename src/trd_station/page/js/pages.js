// @ts-check
/** The pages in the order of the rail. */

import { administrationPage } from "./pages/administration.js";
import { historyPage } from "./pages/history.js";
import { linePage } from "./pages/line.js";
import { modelsPage } from "./pages/models.js";
import { partPage } from "./pages/part.js";
import { reportPage } from "./pages/report.js";
import { reviewPage } from "./pages/review.js";
import { teachPage } from "./pages/teach.js";
import { thresholdPage } from "./pages/threshold.js";
import { watchPage } from "./pages/watch.js";

/** role: who is offered it. hidden: not in the rail. alone: needs no class that is served. @type {Record<string, { make: import("./app.js").MakePage, icon: "line" | "part" | "history" | "review" | "threshold" | "watch" | "models" | "teach" | "administration", role?: import("./types.js").Role, hidden?: boolean, alone?: boolean }>} */
export const PAGES = {
  line: { make: linePage, icon: "line" },
  part: { make: partPage, icon: "part" },
  history: { make: historyPage, icon: "history" },
  review: { make: reviewPage, icon: "review" },
  threshold: { make: thresholdPage, icon: "threshold" },
  watch: { make: watchPage, icon: "watch" },
  models: { make: modelsPage, icon: "models" },
  teach: { make: teachPage, icon: "teach", alone: true },
  report: { make: reportPage, icon: "part", hidden: true },
  administration: { make: administrationPage, icon: "administration", role: "admin", alone: true },
};
