// @ts-check
/** Talking to the station. Nothing here reaches another machine: all addresses are paths of this one. */

/** @typedef {Record<string, string | number | boolean | null | undefined>} Query */

/** What the station answered instead of the thing asked for. */
export class Problem extends Error {
  /**
   * @param {number} status 0 when it did not answer at all
   * @param {string} code
   * @param {string} detail one line for people
   */
  constructor(status, code, detail) {
    super(detail);
    this.status = status;
    this.code = code;
  }
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
    response = await fetch(path, { credentials: "same-origin", ...options });
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new Problem(0, "no_answer", "");
  }
  if (response.ok) return response;
  let told = { code: "", detail: response.statusText };
  try {
    told = { ...told, ...(await response.json()) };
  } catch {
    // not from the station itself (a proxy, say): the status has to do
  }
  if (response.status === 401 && path !== "/v1/session") signedOut.tell();
  throw new Problem(response.status, told.code, told.detail || String(response.status));
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
