// @ts-check
/** Where the page begins. */

import { App } from "./app.js";
import { beginLanguage } from "./i18n.js";
import { Shell } from "./shell.js";
import { beginTheme } from "./theme.js";

beginTheme();
beginLanguage();
/** The 3D view's library and context, while nothing else is to be done: the first part then opens as quickly as later ones. */
window.requestIdleCallback?.(() => {
  import("./viewer3d.js").then((view) => view.warm()).catch((error) => console.info(error)); // said where it is looked at
}, { timeout: 5000 });

void new Shell(/** @type {HTMLElement} */ (document.getElementById("app")), new App()).start();
