// @ts-check
/** A part in 3D: its organised cloud with colour and heat map, drawn when something changes, picked to the pixel. */

import * as THREE from "../vendor/three/three.module.min.js";
import { h } from "./dom.js";
import { heightMap, heightRange, planeOf } from "./heights.js";
import { COLD, RAMP, USUAL_STRENGTH } from "./heat.js";
import { Linked } from "./linked.js";
import { Orbit } from "./orbit.js";
import { pointUnder } from "./picking.js";
import { coarseFirst, extent, faces, pointAt, shade } from "./relief.js";
import { FRAGMENT, OVERLAP, SURFACES, VERTEX } from "./shaders.js";

const FIELD = 35; // degrees, vertical
const REST_MS = 160; // after which what was drawn coarsely is drawn in full
const FIRST_REST_MS = 30; // nobody has taken hold of it yet
const STILL = 4; // CSS pixels that a finger may move while it taps
const MANY = 100000; // points that are drawn coarsely while something moves

const RULER = new THREE.LineBasicMaterial({ color: 0xff5edb, depthTest: false });

/** One context for all parts: making one, and its programs, takes longer than drawing a part. */
class Stage {
  constructor() {
    this.canvas = h("canvas", { class: "view-canvas", role: "img", tabIndex: 0 });
    this.renderer = new THREE.WebGLRenderer({ canvas: this.canvas, antialias: false, alpha: true });
    this.renderer.outputColorSpace = THREE.LinearSRGBColorSpace; // colours are passed through as they are
    const ramp = new THREE.DataTexture(new Uint8Array(RAMP), 256, 1, THREE.RGBAFormat);
    ramp.minFilter = ramp.magFilter = THREE.NearestFilter;
    ramp.needsUpdate = true;
    this.material = new THREE.ShaderMaterial({
      vertexShader: VERTEX,
      fragmentShader: FRAGMENT,
      side: THREE.DoubleSide,
      uniforms: {
        limit: { value: 1 }, reject: { value: 1 }, cold: { value: COLD }, strength: { value: USUAL_STRENGTH }, surface: { value: 0 },
        pixelsPerUnit: { value: 1 }, pitch: { value: 1 }, coarse: { value: 1 }, heights: { value: new THREE.Vector2() }, plane: { value: new THREE.Vector4() },
        ramp: { value: ramp },
      },
    });
  }
}

/** @type {Stage | null} */
let stage = null;

/** Makes the context before the first part is opened. Throws where the browser has no WebGL. */
export function warm() {
  stage ??= new Stage();
  return stage;
}

export class Viewer3D {
  /**
   * @param {Linked} linked
   * @param {import("./decode.js").ScoredCloud} cloud
   * @param {string} label
   */
  constructor(linked, cloud, label) {
    const { canvas, material, renderer } = warm();
    this.linked = linked;
    this.renderer = renderer;
    this.material = material;
    this.cloud = coarseFirst(cloud);
    this.points = pointAt(this.cloud);
    const { middle, radius, pitch } = extent(cloud);
    this.radius = radius;
    this.canvas = canvas;
    canvas.setAttribute("aria-label", label);
    this.marker = h("div", { class: "marker-3d", hidden: true });
    this.element = h("div", { class: "view view-3d" }, canvas, this.marker);
    this.camera = new THREE.PerspectiveCamera(FIELD, 1, radius / 50, radius * 60);
    this.scene = new THREE.Scene();
    const { uniforms } = material;
    uniforms.pitch.value = pitch;
    uniforms.surface.value = 0;
    const [a, b, c, d] = planeOf(cloud);
    uniforms.plane.value.set(a, -b, -c, d); // in the scene y and z are turned
    /** The lowest and the highest that the colours of heights tell, metres. */
    this.heights = heightRange(heightMap(cloud));
    uniforms.heights.value.set(...this.heights);
    /** Told of a place that is tapped. @type {((pixel: import("./linked.js").Pixel) => void) | null} */
    this.onpick = null;
    /** @type {THREE.Line | null} */
    this.line = null;
    this.geometry = this.#geometry();
    /** @type {() => void} */
    this.onFirst = () => {};
    /** @type {THREE.Object3D} */
    this.shape = new THREE.Points(this.geometry, this.material);
    this.shape.frustumCulled = false;
    this.scene.add(this.shape);
    const target = /** @type {[number, number, number]} */ ([middle[0], -middle[1], -middle[2]]);
    const distance = (0.9 * radius) / Math.tan((FIELD * Math.PI) / 360);
    const { plane } = cloud;
    this.orbit = new Orbit(this.element, { turn: -0.3, tilt: -0.6, distance, target }, () => this.#moved(), plane ? [plane[0], -plane[1], -plane[2]] : undefined);
    this.moving = false;
    this.rest = 0;
    this.asked = 0;
    this.frames = 0;
    this.end = linked.listen((what) => what === "cursor" && this.#mark());
    this.observer = new ResizeObserver(() => {
      if (`${this.element.clientWidth} x ${this.element.clientHeight}` !== this.drawnSize) this.draw();
    });
    this.drawnSize = "";
    this.observer.observe(this.element);
    /** Where a finger or the mouse went down, while it may still be a tap. @type {{ x: number, y: number } | null} */
    let tapped = null;
    this.element.addEventListener("pointerdown", (event) => {
      tapped = this.orbit.fingers.size === 1 ? { x: event.clientX, y: event.clientY } : null;
    });
    this.element.addEventListener("pointermove", (event) => {
      if (!this.orbit.dragging) this.#point(event);
      else if (tapped && Math.hypot(event.clientX - tapped.x, event.clientY - tapped.y) > STILL) tapped = null;
    });
    this.element.addEventListener("pointerup", (event) => {
      if (tapped) {
        this.#point(event);
        if (this.onpick && this.linked.cursor) this.onpick(this.linked.cursor);
      }
      tapped = null;
    });
    this.element.addEventListener("dblclick", (event) => {
      const pixel = this.pick(event.clientX, event.clientY);
      const at = pixel && this.#position(pixel);
      if (at) this.orbit.aim([at.x, at.y, at.z]);
    });
  }

  destroy() {
    this.end();
    clearTimeout(this.rest);
    this.observer.disconnect();
    cancelAnimationFrame(this.asked);
    this.geometry.dispose();
    this.line?.geometry.dispose();
  }

  #geometry() {
    const { cloud, points } = this;
    const count = cloud.pixels.length;
    const upright = new Float32Array(3 * count);
    for (let i = 0; i < 3 * count; i += 3) {
      upright[i] = cloud.positions[i];
      upright[i + 1] = -cloud.positions[i + 1];
      upright[i + 2] = -cloud.positions[i + 2];
    }
    const colours = cloud.colours ?? new Uint8Array(4 * count).fill(170);
    shade(cloud, points, colours);
    const geometry = new THREE.BufferGeometry();
    geometry.setAttribute("position", new THREE.BufferAttribute(upright, 3));
    geometry.setAttribute("tint", new THREE.BufferAttribute(colours, 4, true));
    geometry.setAttribute("score", new THREE.BufferAttribute(cloud.scores, 1));
    return geometry;
  }

  /** @param {{ limit?: number, reject?: number, strength?: number, surface?: typeof SURFACES[number] }} look */
  look(look) {
    const { uniforms } = this.material;
    if (look.limit !== undefined) uniforms.limit.value = look.limit;
    if (look.reject !== undefined) uniforms.reject.value = look.reject;
    if (look.strength !== undefined) uniforms.strength.value = look.strength;
    if (look.surface !== undefined) uniforms.surface.value = SURFACES.indexOf(look.surface);
    this.#moved();
  }

  /** Drawn coarsely now and in full when it rests. */
  #moved() {
    clearTimeout(this.rest);
    this.moving = true;
    this.draw();
    this.rest = window.setTimeout(() => {
      this.moving = false;
      this.draw();
    }, this.frames ? REST_MS : FIRST_REST_MS);
  }

  /**
   * As a closed surface instead of points.
   * @param {boolean} closed
   */
  join(closed) {
    this.scene.remove(this.shape);
    if (closed && !this.geometry.index) {
      const step = this.radius / 25;
      this.geometry.setIndex(new THREE.BufferAttribute(faces(this.cloud, this.points, step), 1));
    } else if (!closed) {
      this.geometry.setIndex(null);
    }
    this.shape = closed ? new THREE.Mesh(this.geometry, this.material) : new THREE.Points(this.geometry, this.material);
    this.shape.frustumCulled = false;
    this.scene.add(this.shape);
    this.draw();
  }

  /** @param {import("./linked.js").Pixel[] | null} ends of a line through the part */
  ruler(ends) {
    if (this.line) {
      this.scene.remove(this.line);
      this.line.geometry.dispose();
      this.line = null;
    }
    const places = (ends ?? []).map((end) => this.#position(end)).filter((place) => place !== null);
    if (places.length === 2) {
      this.line = new THREE.Line(new THREE.BufferGeometry().setFromPoints(places), RULER);
      this.scene.add(this.line);
    }
    this.draw();
  }

  draw() {
    if (this.asked) return;
    this.asked = requestAnimationFrame(() => {
      this.asked = 0;
      this.#draw();
    });
  }

  #draw() {
    const { clientWidth: width, clientHeight: height } = this.element;
    if (!width || !height) return;
    const ratio = Math.min(2, window.devicePixelRatio || 1);
    this.renderer.setPixelRatio(ratio);
    this.renderer.setSize(width, height, false);
    this.camera.aspect = width / height;
    // a narrow view is fitted by its width
    this.camera.fov = width < height ? (360 / Math.PI) * Math.atan(Math.tan((FIELD * Math.PI) / 360) * (height / width)) : FIELD;
    this.camera.updateProjectionMatrix();
    const [x, y, z] = this.orbit.place;
    this.camera.position.set(x, y, z);
    this.camera.lookAt(...this.orbit.eye.target);
    this.camera.updateMatrixWorld();
    const { uniforms } = this.material;
    uniforms.pixelsPerUnit.value = (height * ratio) / (2 * Math.tan((this.camera.fov * Math.PI) / 360));
    const fast = this.moving && !this.geometry.index && this.cloud.pixels.length > MANY;
    uniforms.coarse.value = fast ? 2 : 1;
    this.geometry.setDrawRange(0, fast ? this.cloud.coarse : Infinity);
    this.renderer.render(this.scene, this.camera);
    this.drawnSize = `${width} x ${height}`;
    this.frames += 1;
    this.element.dataset.points = String(fast ? this.cloud.coarse : this.cloud.pixels.length);
    this.element.dataset.frames = String(this.frames);
    if (this.frames === 1) this.onFirst();
    this.#mark();
  }

  /**
   * @param {import("./linked.js").Pixel} pixel
   * @returns {THREE.Vector3 | null} null where nothing was measured
   */
  #position(pixel) {
    const point = this.points[pixel.row * this.linked.width + pixel.column] ?? -1;
    if (point < 0) return null;
    return new THREE.Vector3().fromBufferAttribute(this.geometry.getAttribute("position"), point);
  }

  /**
   * Where the point of a pixel lies, in metres in the camera's frame, and how high over the support (null without one).
   * @param {import("./linked.js").Pixel} pixel
   */
  measure(pixel) {
    const at = this.#position(pixel);
    if (!at) return null;
    const { plane } = this.cloud;
    const [x, y, z] = [at.x, -at.y, -at.z];
    return { x, y, z, height: plane && plane[0] * x + plane[1] * y + plane[2] * z + plane[3] };
  }

  /**
   * Where a pixel of the map is on the page.
   * @param {import("./linked.js").Pixel} pixel
   * @returns {{ x: number, y: number } | null} in CSS pixels of the window
   */
  project(pixel) {
    const at = this.#position(pixel)?.project(this.camera);
    if (!at || at.z > 1) return null;
    const box = this.element.getBoundingClientRect();
    return { x: box.left + ((at.x + 1) / 2) * box.width, y: box.top + ((1 - at.y) / 2) * box.height };
  }

  /**
   * The pixel whose point is seen at a place of the page.
   * @param {number} clientX
   * @param {number} clientY
   * @returns {import("./linked.js").Pixel | null}
   */
  pick(clientX, clientY) {
    const box = this.element.getBoundingClientRect();
    const matrix = new THREE.Matrix4().multiplyMatrices(this.camera.projectionMatrix, this.camera.matrixWorldInverse).elements;
    const { uniforms } = this.material;
    const pitch = uniforms.pitch.value;
    const size = (OVERLAP * pitch * uniforms.pixelsPerUnit.value) / this.renderer.getPixelRatio();
    const best = pointUnder({
      positions: this.geometry.getAttribute("position").array, matrix, width: box.width, height: box.height, size, pitch,
    }, clientX - box.left, clientY - box.top);
    if (best < 0) return null;
    const pixel = this.cloud.pixels[best];
    return { row: Math.floor(pixel / this.linked.width), column: pixel % this.linked.width };
  }

  /** @param {PointerEvent} event */
  #point(event) {
    const pixel = this.pick(event.clientX, event.clientY);
    if (pixel) this.linked.point(pixel);
  }

  /** Moves the marker: the scene itself need not be drawn again. */
  #mark() {
    const at = this.linked.cursor && this.project(this.linked.cursor);
    const box = this.element.getBoundingClientRect();
    this.marker.hidden = !at || at.x < box.left || at.y < box.top || at.x > box.right || at.y > box.bottom;
    if (at) this.marker.style.transform = `translate(${at.x - box.left}px, ${at.y - box.top}px)`;
  }
}
