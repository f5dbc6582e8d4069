// @ts-check
/** The 3D view's shaders. The limit is a uniform: moving it uploads nothing. */

/** What is drawn on the surface. */
export const SURFACES = /** @type {const} */ (["heat", "colour", "height"]);

/** A point's square over the distance of its neighbours, so that no gaps are seen between them. */
export const OVERLAP = 1.35;

export const VERTEX = `
uniform float limit, cold, strength, pixelsPerUnit, pitch, coarse;
uniform int surface;
uniform vec2 heights;
uniform sampler2D ramp;
attribute vec4 tint, side;
attribute float score;
varying vec3 shown;

vec3 warm(float t) { return texture2D(ramp, vec2(t * (255.0 / 256.0) + 0.5 / 256.0, 0.5)).rgb; }

void main() {
  vec4 place = modelViewMatrix * vec4(position, 1.0);
  gl_Position = projectionMatrix * place;
  gl_PointSize = clamp(coarse * ${OVERLAP} * pitch * -position.z * pixelsPerUnit / max(-place.z, 1e-6), 1.0, 48.0);
  float light = 0.45 + 0.55 * clamp(dot(normalize(side.xyz), normalize(vec3(-0.45, 0.55, 0.7))), 0.0, 1.0);
  float level = clamp((score - cold) / (max(2.0 * limit, cold + 1.0) - cold), 0.0, 1.0);
  vec3 below = tint.rgb;
  if (surface == 2) below = vec3(0.30 + 0.5 * clamp((position.z - heights.x) / (heights.y - heights.x), 0.0, 1.0)) * light * 1.25;
  float least = max(0.0, (strength - 0.7) / 0.3);
  float share = surface == 0 ? strength * max(least, pow(min(1.0, level / 0.5), 1.5)) : 0.0;
  if (score > limit) share = max(share, surface == 1 ? 0.0 : 0.85);
  shown = mix(below * (surface == 1 ? 1.0 : 0.55 + 0.5 * light), warm(level) * (0.7 + 0.3 * light), share);
}`;

export const FRAGMENT = `
varying vec3 shown;
void main() { gl_FragColor = vec4(shown, 1.0); }`;
