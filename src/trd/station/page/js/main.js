// @ts-check
/** Where the page begins. */

import { App } from "./app.js";
import { beginLanguage } from "./i18n.js";
import { Shell } from "./shell.js";
import { beginTheme } from "./theme.js";

beginTheme();
beginLanguage();
void new Shell(/** @type {HTMLElement} */ (document.getElementById("app")), new App()).start();
