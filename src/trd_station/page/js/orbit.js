// @ts-check
/** Turning, moving and approaching a thing with mouse, fingers or keys. */

/**
 * @typedef {object} Eye
 * @property {number} turn radians about the vertical axis
 * @property {number} tilt radians above the horizon of the first view
 * @property {number} distance from the target
 * @property {[number, number, number]} target
 */

const STEEPEST = 1.55;
const LOWEST = 0.05; // of the eye's direction over the table, as a sine

export class Orbit {
  /**
   * @param {HTMLElement} surface takes the pointers; should be focusable
   * @param {Eye} start
   * @param {() => void} changed
   * @param {[number, number, number]} [above] upright on the table, of length 1: the eye stays on this side of it
   */
  constructor(surface, start, changed, above = [0, 0, 1]) {
    this.above = above;
    this.start = start;
    this.changed = changed;
    /** @type {Eye} */
    this.eye = { ...start, target: [...start.target] };
    /** @type {Map<number, { x: number, y: number }>} */
    this.fingers = new Map();
    surface.addEventListener("pointerdown", (event) => {
      this.fingers.set(event.pointerId, { x: event.clientX, y: event.clientY });
      surface.setPointerCapture(event.pointerId);
    });
    surface.addEventListener("pointermove", (event) => this.#move(event, surface));
    for (const name of ["pointerup", "pointercancel"]) {
      surface.addEventListener(name, (event) => this.fingers.delete(/** @type {PointerEvent} */ (event).pointerId));
    }
    surface.addEventListener("contextmenu", (event) => event.preventDefault());
    surface.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.approach(Math.exp(event.deltaY * 0.0012));
    }, { passive: false });
    surface.addEventListener("keydown", (event) => this.#key(event));
  }

  get dragging() {
    return this.fingers.size > 0;
  }

  home() {
    this.eye = { ...this.start, target: [...this.start.target] };
    this.changed();
  }

  /** @param {number} factor of the distance */
  approach(factor) {
    const { distance } = this.start;
    this.eye.distance = Math.min(distance * 4, Math.max(distance / 60, this.eye.distance * factor));
    this.changed();
  }

  /** @param {[number, number, number]} target */
  aim(target) {
    this.eye.target = target;
    this.changed();
  }

  /**
   * @param {number} turn
   * @param {number} tilt
   */
  rotate(turn, tilt) {
    const { eye } = this;
    const wanted = { turn: eye.turn + turn, tilt: Math.min(STEEPEST, Math.max(-STEEPEST, eye.tilt + tilt)) };
    // along the table's edge it goes on sideways
    const next = [wanted, { turn: eye.turn, tilt: wanted.tilt }, { turn: wanted.turn, tilt: eye.tilt }].find((one) => this.#rises(one));
    if (next) Object.assign(eye, next);
    this.changed();
  }

  /** Whether one looks down on the table from there. @param {{ turn: number, tilt: number }} eye */
  #rises({ turn, tilt }) {
    const [x, y, z] = this.above;
    return x * Math.cos(tilt) * Math.sin(turn) + y * Math.sin(tilt) + z * Math.cos(tilt) * Math.cos(turn) > LOWEST;
  }

  /**
   * Sideways, in parts of the view's height.
   * @param {number} right
   * @param {number} up
   */
  pan(right, up) {
    const { turn, tilt, distance, target } = this.eye;
    const size = distance * 0.75;
    const sideways = [Math.cos(turn), 0, -Math.sin(turn)];
    const upwards = [-Math.sin(tilt) * Math.sin(turn), Math.cos(tilt), -Math.sin(tilt) * Math.cos(turn)];
    this.eye.target = /** @type {[number, number, number]} */ (
      target.map((value, axis) => value + size * (right * sideways[axis] + up * upwards[axis]))
    );
    this.changed();
  }

  /** Where the eye stands. */
  get place() {
    const { turn, tilt, distance, target } = this.eye;
    return [
      target[0] + distance * Math.cos(tilt) * Math.sin(turn),
      target[1] + distance * Math.sin(tilt),
      target[2] + distance * Math.cos(tilt) * Math.cos(turn),
    ];
  }

  /**
   * @param {PointerEvent} event
   * @param {HTMLElement} surface
   */
  #move(event, surface) {
    const before = this.fingers.get(event.pointerId);
    if (!before) return;
    const now = { x: event.clientX, y: event.clientY };
    const height = surface.clientHeight || 1;
    const [dx, dy] = [(now.x - before.x) / height, (now.y - before.y) / height];
    if (this.fingers.size === 2) {
      const other = [...this.fingers].find(([id]) => id !== event.pointerId)?.[1] ?? before;
      const spread = (/** @type {{ x: number, y: number }} */ at) => Math.max(1, Math.hypot(at.x - other.x, at.y - other.y));
      this.pan(-dx / 2, dy / 2);
      this.approach(spread(before) / spread(now));
    } else if (event.shiftKey || event.buttons & 6) {
      this.pan(-dx, dy);
    } else {
      this.rotate(-dx * 3.2, dy * 3.2);
    }
    this.fingers.set(event.pointerId, now);
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const arrows = /** @type {Record<string, [number, number]>} */ ({
      ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1],
    });
    if (arrows[event.key]) {
      const [right, up] = arrows[event.key];
      if (event.shiftKey) this.pan(right * 0.05, up * 0.05);
      else this.rotate(right * 0.12, up * 0.12);
    } else if (event.key === "+" || event.key === "-") {
      this.approach(event.key === "+" ? 0.85 : 1 / 0.85);
    } else if (event.key === "0") {
      this.home();
    } else {
      return;
    }
    event.preventDefault();
    event.stopPropagation();
  }
}
