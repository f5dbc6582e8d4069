// @ts-check
/** What the station says in English, in the page's words: notes on parts, events, checks, reasons, refusals. */

import { h } from "./dom.js";
import { language, num, word } from "./i18n.js";
import { factorOf, sourceName, streamName } from "./streams.js";

/**
 * A message of the station, and the page's words for it. Named groups are put in: `stream` and `source` by their names
 * here, `rest` as another message, numbers in the language's way, all else as it is.
 * @typedef {object} Form
 * @property {RegExp} is
 * @property {string} [en] where the station's own words are not the page's
 * @property {string} de
 */

const N = "-?[\\d.]+(?:e[-+]?\\d+)?";

/** @type {Form[]} */
const FORMS = [
  // notes on a part
  form("plane at {#value} m, training {#low} to {#high} m", "Auflage in {value} m Abstand, Training {low} bis {high} m", "support at {value} m, training {low} to {high} m"),
  form("part of {#value} mm from corner to corner, training {#low} to {#high} mm", "Teil {value} mm von Ecke zu Ecke, Training {low} bis {high} mm"),
  form("part of {#value} pixels from corner to corner, training {#low} to {#high}", "Teil {value} Pixel von Ecke zu Ecke, Training {low} bis {high}"),
  form("{#value}% of the points measured, training {#low}% to {#high}%", "{value} % der Punkte gemessen, Training {low} bis {high} %", "{value} % of the points measured, training {low} to {high} %"),
  form("mean brightness of '{source}' {%value}, training {%low} to {%high}", "Mittlere Helligkeit ({source}) {value} %, Training {low} bis {high} %", "mean brightness ({source}) {value} %, training {low} to {high} %"),
  form("frame of {size} pixels, training {usual}", "Bild von {size} Pixeln, Training {usual}"),
  form("no part found: the whole window is scored", "Kein Teil gefunden: das ganze Fenster wird bewertet"),
  form("the part lies outside of frame.inspect: all of that area is scored", "Das Teil liegt außerhalb von frame.inspect: dieser ganze Bereich wird bewertet"),
  form("no support plane found in '{source}': the training samples' stands in", "Keine Auflage gefunden ({source}): die der Trainingsteile gilt", "no support found ({source}): that of the training parts stands in"),
  form("computed in precision {now}, calibrated in {then}: the false-alarm rate is not promised", "Gerechnet in {now}, kalibriert in {then}: die Fehlalarmrate ist nicht versprochen"),
  // why a part could not be judged
  form("sample {name}: '{source}' has no valid depth, every point is missing (z = 0)", "{name}: {source} ohne gültige Tiefe, jeder Punkt fehlt (z = 0)"),
  form("{name}: no valid depth, all {size} points are missing (z = 0)", "{name}: keine gültige Tiefe, alle {size} Punkte fehlen (z = 0)"),
  form("sample {name}: '{source}' is {size}, its partners {usual} (height, width)", "{name}: {source} hat {size}, die anderen Quellen {usual} (Höhe, Breite)"),
  form("{name} cannot be read{how}: {reason}; the file is damaged or of another format", "{name} ist nicht lesbar{how}: {reason}; die Datei ist beschädigt oder von anderem Format"),
  form("unexpected {kind} while the part was prepared", "Unerwarteter Fehler ({kind}) beim Vorbereiten des Teils"),
  form("the model failed: {reason}", "Das Modell ist ausgefallen: {reason}"),
  // events
  form("the station serves {names}; {#lost} parts had not been decided when it stopped", "Die Station bedient {names}; {lost} Teile waren beim Ende nicht entschieden", "the station serves {names}; {lost} parts had not been decided when it stopped"),
  form("the station serves {names}", "Die Station bedient {names}", "the station serves {names}"),
  form("the station stops", "Die Station hält an"),
  form("the files of {#count} inspections were deleted, {#size} MB; their rows stay", "Die Dateien von {count} Prüfungen wurden gelöscht, {size} MB; ihre Zeilen bleiben"),
  form("no part came for days before the last one: is the clock right? No files go for their age", "Vor dem letzten Teil kam tagelang keines: stimmt die Uhr? Keine Dateien werden ihres Alters wegen gelöscht"),
  form("the last part was stored with a time {#hours} hours ahead; until then all get that same time", "Das letzte Teil trägt eine Zeit, die {hours} Stunden voraus ist; bis dahin bekommen alle dieselbe Zeit"),
  form("{#part} of {#all} GB are files of parts that are judged or sampled, which never go, or wait for review, which go last: the others' go the sooner. Raise --keep-gb, or lower --audit", "{part} von {all} GB sind Dateien beurteilter oder gezogener Teile, die nie gehen, oder wartender, die zuletzt gehen: die übrigen gehen umso früher. --keep-gb erhöhen oder --audit senken"),
  form("{stream} has changed: the last {#count} parts are at {#value} in the mean, where 90 % of all since the watch began lie between {#low} and {#high}", "{stream} hat sich verändert: die letzten {count} Teile liegen im Mittel bei {value}, wo 90 % aller seit Beginn zwischen {low} und {high} liegen", "{stream} has changed: the last {count} parts are at {value} in the mean, where 90 % of all since the watch began lie between {low} and {high}"),
  form("{stream}: mean of the last {#count} parts {#value}, training {#low} to {#high}", "{stream}: Mittel der letzten {count} Teile {value}, Training {low} bis {high}", "{stream}: mean of the last {count} parts {value}, training {low} to {high}"),
  form("the watch of {streams} begins anew, by {who}: {reason}", "Die Überwachung von {streams} beginnt neu, durch {who}: {reason}", "the watch of {streams} begins anew, by {who}: {reason}"),
  form("limits {#review} and {#reject} became {#newer} and {#new} (version {#version}, by {who}): {reason}", "Die Grenzen {review} und {reject} wurden {newer} und {new} (Version {version}, durch {who}): {reason}"),
  form("{name} (model {#number}) serves in the place of {other} ({#was}), by {who}: {reason}", "{name} (Modell {number}) ist an Stelle von {other} ({was}) im Dienst, durch {who}: {reason}"),
  form("{name} was sent by {who}; it does not serve yet", "{name} wurde von {who} gesendet; es ist noch nicht im Dienst"),
  form("{name} was sent by {who}; it serves the new class '{class}'", "{name} wurde von {who} gesendet; es bedient die neue Klasse „{class}“"),
  form("{name}: the self-test failed: {rest}", "{name}: Selbsttest nicht bestanden: {rest}"),
  form("{name} receives again", "{name} empfängt wieder"),
  form("{name} does not receive ({reason}); results wait for it", "{name} empfängt nicht ({reason}); die Ergebnisse warten"),
  form("{name} cannot go on ({reason}); results wait for it", "{name} kommt nicht weiter ({reason}); die Ergebnisse warten"),
  form("{name} never gets inspection {#number}: {reason}", "{name} bekommt Prüfung {number} nie: {reason}"),
  form("{name}: there is nothing more, it has ended", "{name}: es gibt nichts mehr, zu Ende"),
  // administration
  form("{who} ({role}) signed in from {address}", "{who} ({role}) hat sich angemeldet, von {address}"),
  form("a token was refused at the sign-in, from {address}", "bei der Anmeldung wurde ein Zugangswort abgewiesen, von {address}"),
  form("{who} made a token for {name} ({role})", "{who} hat ein Zugangswort für {name} angelegt ({role})"),
  form("{who} took away the token of {name}", "{who} hat das Zugangswort von {name} entzogen"),
  form("settings were changed by {who}: {changes}", "{who} hat Einstellungen geändert: {changes}"),
  form("settings were changed: {changes}", "Einstellungen wurden geändert: {changes}"),
  form("an archive of {#count} inspections was sent to {who}", "ein Archiv von {count} Prüfungen ging an {who}"),
  form("restored from {name}, which was written at {at}", "wiederhergestellt aus {name}, geschrieben {at}"),
  form("does not receive ({reason})", "empfängt nicht ({reason})"),
  form("cannot go on ({reason})", "kommt nicht weiter ({reason})"),
  form("{place} does not exist: make a folder for each of {sources}", "{place} gibt es nicht: einen Ordner anlegen für je {sources}"),
  form("files: {counts}; a file rests {seconds} s where nobody tells who writes", "Dateien: {counts}; eine Datei ruht {seconds} s, wo niemand sagt, wer schreibt"),
  form("{#count} parts, one every {seconds} s", "{count} Teile, alle {seconds} s eines"),
  form("{#count} frames; the last one {seconds} s ago", "{count} Bilder; das letzte vor {seconds} s"),
  form("no frame has come since the start", "seit dem Start kam kein Bild"),
  form("{place} took a test message ({#status})", "{place} hat eine Probenachricht angenommen ({status})"),
  form("{place} does not take it: {reason}", "{place} nimmt es nicht an: {reason}"),
  form("the broker has acknowledged a message to {topic}", "der Broker hat eine Nachricht an {topic} bestätigt"),
  form("the broker is not connected", "der Broker ist nicht verbunden"),
  form("the broker is not connected: {reason}", "der Broker ist nicht verbunden: {reason}"),
  form("there is a token of '{name}': take it away first", "es gibt ein Zugangswort von „{name}“: erst dieses entziehen"),
  form("this is the last admin's token: make another one first", "das ist das letzte Zugangswort eines Verwalters: erst ein anderes anlegen"),
  // alarms
  form("{#count} parts in a row were rejected", "{count} Teile nacheinander waren Ausschuss"),
  form("{#rejected} of the last {#count} parts were rejected, more than {#share}%", "{rejected} der letzten {count} Teile waren Ausschuss, mehr als {share} %", "{rejected} of the last {count} parts were rejected, more than {share} %"),
  form("{#count} parts in a row could not be judged: {rest}", "{count} Teile nacheinander waren nicht prüfbar: {rest}"),
  form("{name} has not received results for {#seconds} s", "{name} hat seit {seconds} s keine Ergebnisse empfangen"),
  form("{#free} GB are free on the disk, fewer than {#least}", "{free} GB sind auf der Platte frei, weniger als {least}"),
  form("acknowledged by {who}: {cause} ({rest})", "quittiert von {who}: {cause} ({rest})", "acknowledged by {who}: {cause} ({rest})"),
  form("acknowledged by {who} ({rest})", "quittiert von {who} ({rest})", "acknowledged by {who} ({rest})"),
  form("alarm rules became {values}, by {who}: {reason}", "Alarmregeln wurden {values}, durch {who}: {reason}", "alarm rules became {values}, by {who}: {reason}"),
  // jobs
  form("job {#number}, {job}: asked for by {who}", "Auftrag {number}, {job}: verlangt von {who}", "job {number}, {job}: asked for by {who}"),
  form("job {#number}, {job}: cancelled by {who}", "Auftrag {number}, {job}: abgebrochen von {who}", "job {number}, {job}: cancelled by {who}"),
  form("job {#number}, {job}: done; '{name}' can be loaded", "Auftrag {number}, {job}: fertig; „{name}“ kann geladen werden", "job {number}, {job}: done; '{name}' can be loaded"),
  form("job {#number}, {job}: asks for a second look, {reasons}", "Auftrag {number}, {job}: bittet um einen zweiten Blick. {reasons}", "job {number}, {job}: asks for a second look, {reasons}"),
  form("job {#number}, {job}: {who} has looked at good parts that look like defects, they are good: {parts}", "Auftrag {number}, {job}: {who} hat gute Teile nachgesehen, die wie Defekte aussehen; sie sind gut: {parts}", "job {number}, {job}: {who} has looked at good parts that look like defects, they are good: {parts}"),
  form("job {#number}, {job}: refused, {reasons}", "Auftrag {number}, {job}: abgelehnt. {reasons}", "job {number}, {job}: refused, {reasons}"),
  // lessons
  form("lesson {number} was taken back: {rest}", "Lektion {number} wurde zurückgenommen: {rest}", "lesson {number} was taken back: {rest}"),
  form("lesson {number} is worse on sampled parts: {#found} of {#defects} defects rejected, before {#found_before} of {#defects_before}; {#false} of {#good} good parts rejected, before {#false_before} of {#good_before}", "Lektion {number} ist in der Stichprobe schlechter: {found} von {defects} Defekten verworfen, vorher {found_before} von {defects_before}; {false} von {good} guten Teilen verworfen, vorher {false_before} von {good_before}"),
  form("the labelled defects do not stand out more by it: gain {#gain} deviations of good parts, 95 % interval {#low} to {#high}", "Die gelehrten Defekte heben sich dadurch nicht stärker ab: Gewinn {gain} Streuungen guter Teile, 95-%-Intervall {low} bis {high}"),
  form("fewer defects are detected: {#after} instead of {#before}", "Weniger Defekte werden gefunden: {after} statt {before}"),
  form("good parts like them do not score lower by it: their scores change by {#value} deviations of the calibration parts, 95 % interval {#low} to {#high}", "Gute Teile wie diese liegen dadurch nicht tiefer: ihre Werte ändern sich um {value} Streuungen der Kalibrierteile, 95-%-Intervall {low} bis {high}"),
  form("more of them are above the threshold: {#after} instead of {#before}", "Mehr von ihnen liegen über der Schwelle: {after} statt {before}", "more of the good parts are above the threshold: {after} instead of {before}"),
  form("fewer of the defects are detected: {#after} instead of {#before} (defects of a batch that is rejected as a whole judge nothing: give others)", "Weniger der Defekte werden gefunden: {after} statt {before} (wo eine Charge ganz verworfen wird, urteilen ihre Defekte nichts: andere nehmen)"),
  form("the defects stand out less against the calibration parts: image AUROC {#value}, 95 % interval {#low} to {#high}", "Die Defekte heben sich weniger von den Kalibrierteilen ab: Bild-AUROC {value}, 95-%-Intervall {low} bis {high}"),
  form("{#count} of {#all} good parts look like the labelled defects", "{count} von {all} guten Teilen sehen aus wie die Defekte", "{count} of {all} good parts look like the defects"),
  form("none of its evidence ({kinds}) takes in good parts without a training: train with them, or add a memory bank (--set evidence.memory_bank=true)", "Nichts an diesem Detektor ({kinds}) nimmt gute Teile ohne Training auf: mit ihnen trainieren, oder eine Speicherbank dazunehmen (evidence.memory_bank=true)", "nothing of this detector ({kinds}) takes in good parts without a training: train with them, or add a memory bank (evidence.memory_bank=true)"),
  form("kinds that it has not seen lose {#lost} image AUROC where {#allowed} are allowed, '{kind}' most", "Arten, die sie nicht kennt, verlieren {lost} Bild-AUROC, erlaubt sind {allowed}; am meisten „{kind}“"),
  form("{name} is a package, which cannot learn: give the run folder that it was made from", "{name} ist ein Paket, das nicht lernen kann: der Ordner, aus dem es entstand, ist nicht hier", "{name} is a package, which cannot learn: the folder that it was made from is not here"),
  form("{name} has had a lesson: teach {before} all defects and good parts together", "{name} hatte schon eine Lektion, und {before} ist nicht mehr hier: nur dieses lernt alle Defekte und guten Teile gemeinsam", "{name} has had a lesson, and {before} is not here any more: only that learns all defects and good parts together"),
  form("{name} looks at tiles or at several views, which a lesson does not: train without them", "{name} sieht Kacheln oder mehrere Ansichten, die Lektionen nicht kennen: ohne sie trainieren"),
  form("{name} was calibrated on the parts that it was trained on {how}: train with --set scoring.calibration=split", "{name} wurde an seinen Trainingsteilen kalibriert, und eine Lektion braucht gute Teile, die niemand gelernt hat: mit der Einstellung scoring.calibration=split trainieren", "{name} was calibrated on its training parts, and a lesson needs good parts that nothing was fitted on: train with the setting scoring.calibration=split"),
  form("{place}, on which {name} was trained, does not exist: give the class's folder with --data", "{place}, woran {name} trainiert wurde, gibt es nicht mehr: die Daten zurücklegen", "{place}, on which {name} was trained, does not exist any more: put it back"),
  // self-tests
  form("predicts", "rechnet"),
  form("repeatable", "wiederholbar"),
  form("recorded part {name}", "früheres Teil {name}", "earlier part {name}"),
  form("a drawn part scores {#score}", "ein gezeichnetes Teil hat den Wert {score}"),
  form("the same part gets the same map", "dasselbe Teil bekommt dieselbe Karte"),
  form("the same part gets another map the second time", "dasselbe Teil bekommt beim zweiten Mal eine andere Karte"),
  form("{#score}, recorded {#before}", "{score}, damals {before}", "{score}, then {before}"),
  form("it scores {#score} where it had {#before}", "es hat den Wert {score} statt {before}"),
  // recalibration
  form("{#count} sampled parts with the verdict good; at least {#least} are needed", "{count} gezogene Teile mit dem Urteil gut; mindestens {least} werden gebraucht"),
  form("{#count} good parts cannot promise less than {#least}%; for {#rate}% {#needed} are needed", "{count} gute Teile können nicht weniger als {least} % versprechen; für {rate} % werden {needed} gebraucht", "{count} good parts cannot promise less than {least} %; for {rate} % {needed} are needed"),
  // where limits come from, and what training saw
  form("first", "die ersten", "the first"),
  form("support plane from the camera", "Auflage, Abstand zur Kamera", "support, from the camera"),
  form("part, corner to corner in pixels", "Teil von Ecke zu Ecke in Pixeln"),
  form("part, corner to corner", "Teil von Ecke zu Ecke"),
  form("points measured", "gemessene Punkte"),
  form("mean brightness of {source}", "mittlere Helligkeit ({source})", "mean brightness ({source})"),
  form("contrast of {source}", "Kontrast ({source})", "contrast ({source})"),
  form("support plane's tilt", "Neigung der Auflage", "tilt of the support"),
  form("part's middle, x", "Mitte des Teils, quer", "middle of the part, across"),
  form("part's middle, y", "Mitte des Teils, längs", "middle of the part, along"),
  form("{#low} to {#high} degrees", "{low} bis {high} °", "{low} to {high} °"),
  form("{#low} to {#high} {unit}", "{low} bis {high} {unit}"),
  form("{#low} to {#high}", "{low} bis {high}"),
  // refusals
  form("version {#number} is active by now: look at it first", "inzwischen gilt Version {number}: erst diese ansehen"),
  form("no other model has served '{class}' before", "kein anderes Modell hat „{class}“ zuvor bedient"),
  form("review_above ({#review}) must not be greater than reject_above ({#reject})", "Nachprüfen über ({review}) darf nicht größer sein als Ausschuss über ({reject})"),
  form("there is no inspection {#number}", "Prüfung {number} gibt es nicht"),
  form("no model serves the class '{class}' yet", "noch kein Modell bedient die Klasse „{class}“"),
  form("'{who}' is {role}; this needs the role {needed}", "„{who}“ ist {role}; das verlangt die Rolle {needed}"),
  form("the files of inspection {#number} were not kept", "die Dateien von Prüfung {number} wurden nicht aufbewahrt"),
  form("the model that inspected this part is no longer where it was: put back {name}", "das Modell, das dieses Teil geprüft hat, liegt nicht mehr an seinem Platz: {name} zurücklegen"),
  form("the package is of the class '{trained}', not '{class}'; if it is meant for this one, send it with {query}", "das Paket ist von der Klasse „{trained}“, nicht „{class}“", "the package is of the class '{trained}', not '{class}'"),
];

/**
 * @param {string} pattern the station's words; `{name}` any text, `{#name}` a number, `{%name}` a share that is told in percent
 * @param {string} de
 * @param {string} [en]
 * @returns {Form}
 */
function form(pattern, de, en) {
  const escaped = pattern.replace(/[.*+?^$()|[\]\\]/g, "\\$&");
  const source = escaped.replace(/\{([#%]?)(\w+)\}/g, (_whole, kind, name) => `(?<${kind === "#" ? "n_" : kind === "%" ? "p_" : ""}${name}>${kind ? N : ".+?"})`);
  return { is: new RegExp(`^${source}$`, "s"), de, en };
}

/**
 * A message in the page's language; null where the page has no words for it.
 * @param {string} text
 * @returns {string | null}
 */
export function translated(text) {
  for (const { is, de, en } of FORMS) {
    const match = is.exec(text);
    if (!match) continue;
    const wanted = language() === "de" ? de : en;
    if (wanted === undefined) return text;
    return wanted.replace(/\{(\w+)\}/g, (_whole, name) => put(name, match.groups ?? {}));
  }
  return null;
}

/**
 * @param {string} name
 * @param {Record<string, string>} groups
 */
function put(name, groups) {
  const text = groups[name];
  if (text === undefined) {
    const share = groups[`p_${name}`];
    if (share !== undefined) return num(100 * Number(share), 0);
    return language() === "de" ? groups[`n_${name}`].replace(".", ",") : groups[`n_${name}`];
  }
  if (name === "stream") return streamName(text);
  if (name === "streams") return text.split(", ").map(streamName).join(", ");
  if (name === "names") return text.replace(/ by ([^,]+)/g, " ($1)"); // classes, each with what serves it
  if (name === "source") return sourceName(text);
  if (name === "job") return text.replace(/^\w+/, (kind) => word("teach.kind", kind)).replace(/ by (.+)$/, " ($1)");
  if (name === "reasons") return text.split("; ").map(worded).join("; ");
  if (name === "values") return text.replace(/(\w+) (\S+?)(,|$)/g, (_whole, key, value, end) => `${word("rule", key)}: ${num(factorOf(key) * Number(value))}${end}`);
  return name === "rest" ? (translated(text) ?? text) : text;
}

/** A message for places that take text alone. @param {string} text */
export function worded(text) {
  return translated(text) ?? text;
}

/** A message as an element, marked as English where the page has no words for it. @param {string} text */
export function message(text) {
  const own = translated(text);
  return h("span", { lang: own === null ? "en" : null }, own ?? text);
}
