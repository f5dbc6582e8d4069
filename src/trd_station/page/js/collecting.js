// @ts-check
/** Files that are dropped or chosen -> parts: files of one stem, told apart by their folders, else by their endings. */

/** @typedef {{ path: string, file: File }} Found */
/** @typedef {{ name: string, files: Record<string, File> }} Part */

const CLOUD_FOLDERS = ["xyz", "depth", "pointcloud", "cloud"];
const TESTED = ["test", "test_public"];
const MASKS = ["gt", "ground_truth", "mask", "masks"];

/**
 * @param {Found[]} found
 * @param {{ name: string, kind: string, suffixes: string[] }[]} sources
 * @returns {{ parts: Part[], lone: string[], left: number }} lone: names without a file of each source. left: files of
 * test parts and masks, which may be defective
 */
export function partsIn(found, sources) {
  /** @type {Map<string, Part>} */
  const parts = new Map();
  let left = 0;
  for (const { path, file } of found) {
    const folders = path.split("/").slice(0, -1).map((name) => name.toLowerCase());
    const dot = file.name.lastIndexOf(".");
    const [stem, suffix] = [file.name.slice(0, dot), file.name.slice(dot).toLowerCase()];
    if (dot < 1) continue;
    const own = sources.filter((one) => one.suffixes.includes(suffix));
    if (!own.length) continue;
    if (folders.some((name) => TESTED.includes(name) || MASKS.includes(name))) {
      left += 1;
      continue;
    }
    const parent = folders[folders.length - 1] ?? "";
    const named = sources.find((one) => one.name === parent || (one.kind === "cloud" && CLOUD_FOLDERS.includes(parent)));
    const source = named ?? (own.length === 1 ? own[0] : own.find((one) => (one.kind === "image") === ![".tif", ".tiff", ".npy"].includes(suffix)));
    if (!source || !source.suffixes.includes(suffix)) continue;
    const key = `${(named ? folders.slice(0, -1) : folders).join("/")}/${stem}`;
    const part = parts.get(key) ?? { name: stem, files: {} };
    part.files[source.name] = file;
    parts.set(key, part);
  }
  const whole = [...parts.values()].filter((part) => sources.every((one) => part.files[one.name]));
  const lone = [...parts.values()].filter((part) => !whole.includes(part)).map((part) => part.name);
  return { parts: whole.sort((one, other) => one.name.localeCompare(other.name)), lone, left };
}

/**
 * All files of what was dropped, also of folders in folders.
 * @param {DataTransfer} transfer
 * @returns {Promise<Found[]>}
 */
export async function droppedFiles(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry());
  const files = [...transfer.files];
  if (entries.every((entry) => entry === null)) return files.map((file) => ({ path: file.name, file }));
  const found = await Promise.all(entries.map((entry) => (entry ? filesOf(entry) : [])));
  return found.flat();
}

/**
 * @param {FileSystemEntry} entry
 * @returns {Promise<Found[]>}
 */
async function filesOf(entry) {
  if (entry.isFile) {
    const file = await new Promise((resolve, reject) => /** @type {FileSystemFileEntry} */ (entry).file(resolve, reject));
    return [{ path: entry.fullPath.replace(/^\//, ""), file }];
  }
  const reader = /** @type {FileSystemDirectoryEntry} */ (entry).createReader();
  /** @type {FileSystemEntry[]} */
  const inside = [];
  for (;;) {
    /** @type {FileSystemEntry[]} */
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject)); // at most 100 a time
    if (!some.length) break;
    inside.push(...some);
  }
  return (await Promise.all(inside.map(filesOf))).flat();
}
