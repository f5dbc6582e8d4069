// @ts-check
/** Talking to the station. Nothing here reaches another machine: all addresses are paths of this one. */

/** @typedef {Record<string, string | number | boolean | null | undefined>} Query */

/** What the station answered instead of the thing asked for. */
export class Problem extends Error {
  /**
   * @param {number} status 0 when it did not answer at all
   * @param {string} code
   * @param {string} detail one line for people
   * @param {Record<string, any>} [more] further fields of the answer
   */
  constructor(status, code, detail, more = {}) {
    super(detail);
    this.more = more;
    this.status = status;
    this.code = code;
  }
}

const ROOT = new URL(".", location.href).pathname.replace(/\/$/, ""); // a proxy may have the station under a path

/**
 * A path of the station as the browser has to ask for it.
 * @param {string} path
 */
export function here(path) {
  return ROOT + path;
}

/** Told of every answer 401, so that the page can ask for a token. */
export const signedOut = { /** @type {() => void} */ tell: () => {} };

/**
 * A path with its query; what is null or empty is left out.
 * @param {string} path
 * @param {Query} [query]
 */
export function address(path, query = {}) {
  const given = Object.entries(query).filter(([, value]) => value !== null && value !== undefined && value !== "");
  const text = new URLSearchParams(given.map(([name, value]) => [name, String(value)])).toString();
  return text ? `${path}?${text}` : path;
}

/**
 * @param {string} path
 * @param {RequestInit} [options]
 * @returns {Promise<Response>} only good ones
 */
async function ask(path, options = {}) {
  let response;
  try {
    response = await fetch(here(path), { credentials: "same-origin", ...options });
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new Problem(0, "no_answer", "");
  }
  if (response.ok) return response;
  const text = await response.text().catch(() => "");
  throw problemIn(path, response.status, response.statusText, text);
}

/**
 * @param {string} path that was asked for
 * @param {number} status
 * @param {string} phrase
 * @param {string} text body of the answer
 */
function problemIn(path, status, phrase, text) {
  let told = { code: "", detail: phrase };
  try {
    told = { ...told, ...JSON.parse(text) };
  } catch {
    // not from the station itself (a proxy, say): the status has to do
  }
  if (status === 401 && path !== "/v1/session") signedOut.tell();
  return new Problem(status, told.code, told.detail || String(status), told);
}

/**
 * @param {string} path
 * @param {Query} [query]
 * @param {AbortSignal} [signal]
 * @returns {Promise<any>}
 */
export async function get(path, query, signal) {
  return (await ask(address(path, query), { signal })).json();
}

/**
 * @param {"POST" | "PUT" | "DELETE"} method
 * @param {string} path
 * @param {object | FormData} [body]
 * @returns {Promise<any>}
 */
export async function send(method, path, body) {
  const form = body instanceof FormData;
  const response = await ask(path, {
    method,
    body: body === undefined ? undefined : form ? body : JSON.stringify(body),
    headers: body === undefined || form ? {} : { "Content-Type": "application/json" },
  });
  return response.status === 204 ? null : response.json();
}

/**
 * A file as the whole body. By XMLHttpRequest, as `fetch` does not tell how much has gone.
 * @param {string} path
 * @param {Blob} file
 * @param {(share: number) => void} progress 0 to 1, of what has left this machine
 * @param {AbortSignal} signal
 * @returns {Promise<any>}
 */
export function sendFile(path, file, progress, signal) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", here(path));
    request.setRequestHeader("Content-Type", "application/octet-stream");
    request.upload.addEventListener("progress", (event) => progress(event.total ? event.loaded / event.total : 1));
    request.addEventListener("load", () => {
      if (request.status >= 200 && request.status < 300) resolve(JSON.parse(request.responseText));
      else reject(problemIn(path, request.status, request.statusText, request.responseText));
    });
    request.addEventListener("error", () => reject(new Problem(0, "no_answer", "")));
    request.addEventListener("abort", () => reject(new DOMException("", "AbortError")));
    signal.addEventListener("abort", () => request.abort());
    request.send(file);
  });
}

/**
 * @param {string} path
 * @param {AbortSignal} [signal]
 */
export async function bytes(path, signal) {
  return (await ask(path, { signal })).arrayBuffer();
}

/**
 * @param {string} path
 * @param {AbortSignal} [signal]
 */
export async function picture(path, signal) {
  const blob = await (await ask(path, { signal })).blob();
  return createImageBitmap(blob, { colorSpaceConversion: "none", premultiplyAlpha: "none" });
}

/** @param {string} name of a class */
export function ofClass(name) {
  return `/v1/classes/${encodeURIComponent(name)}`;
}

/**
 * @param {number} id
 * @param {string} [rest]
 */
export function ofPart(id, rest = "") {
  return `/v1/inspections/${id}${rest}`;
}

/**
 * @param {number} id
 * @param {string} name
 * @param {number} [size] longest side in pixels
 */
export function imagePath(id, name, size) {
  return address(ofPart(id, `/images/${encodeURIComponent(name)}.png`), size ? { size, crop: "window" } : {});
}

/**
 * @param {number} id
 * @param {string} name
 */
export function mapPath(id, name) {
  return ofPart(id, `/maps/${encodeURIComponent(name)}.npy`);
}
