// @ts-check
/** The 3D view's shaders. The limit is a uniform: moving it uploads nothing. */

import { LEAST_ABOVE, USUAL_STRENGTH } from "./heat.js";

const USUAL = USUAL_STRENGTH.toFixed(2);

/** What is drawn on the surface. */
export const SURFACES = /** @type {const} */ (["heat", "colour", "height"]);

/** A point's square over the distance of its neighbours, so that no gaps are seen between them. */
export const OVERLAP = 1.35;

/**
 * Without a graphics card most of a picture's time goes into this, once for every point: so light is taken from the colour's
 * fourth byte, and the ramp is read without filtering.
 */
export const VERTEX = `
uniform float limit, reject, cold, strength, pixelsPerUnit, pitch, coarse;
uniform int surface;
uniform vec2 heights;
uniform vec4 plane;
uniform sampler2D ramp;
attribute vec4 tint;
attribute float score;
varying vec3 shown;

void main() {
  vec4 place = modelViewMatrix * vec4(position, 1.0);
  gl_Position = projectionMatrix * place;
  gl_PointSize = clamp(coarse * ${OVERLAP} * pitch * position.z * pixelsPerUnit / place.z, 1.0, 48.0);
  float light = tint.a;
  vec3 below = tint.rgb;
  if (surface == 2) {
    float high = clamp((dot(plane.xyz, position) + plane.w - heights.x) / (heights.y - heights.x), 0.0, 1.0);
    below = texelFetch(ramp, ivec2(int(high * 255.0), 0), 0).rgb;
  }
  if (surface != 1) below *= surface == 0 ? 0.55 + 0.5 * light : 0.3 + 0.7 * light;
  float level = clamp((score - cold) / (max(2.0 * reject, cold + 1.0) - cold), 0.0, 1.0);
  float near = min(1.0, 2.0 * level);
  float share = surface == 0 ? strength * max((strength - ${USUAL}) / (1.0 - ${USUAL}), near * sqrt(near)) : 0.0;
  if (score > limit && share > 0.0) share = max(share, ${LEAST_ABOVE.toFixed(2)});
  vec3 warm = texelFetch(ramp, ivec2(int(level * 255.0), 0), 0).rgb;
  shown = mix(below, warm * (0.2 + 0.8 * light), share);
}`;

export const FRAGMENT = `
varying vec3 shown;
void main() { gl_FragColor = vec4(shown, 1.0); }`;
