// @ts-check
/** Which point of a cloud is seen at a place of the picture. */

const REACH = 7; // CSS pixels from the pointer within which a point is taken

/**
 * Of the points whose drawn square covers the place the foremost, else the nearest within reach; -1 for none.
 * @param {object} drawn
 * @param {ArrayLike<number>} drawn.positions (3 n)
 * @param {number[]} drawn.matrix 4 x 4, column by column, from positions to clip space
 * @param {number} drawn.width of the picture, CSS pixels
 * @param {number} drawn.height
 * @param {number} drawn.size of a point's square in CSS pixels, times the distance from the eye, over the distance from the
 *   camera that measured it
 * @param {number} drawn.pitch of neighbouring points, over that distance
 * @param {number} x of the place, CSS pixels from the picture's left
 * @param {number} y from its top
 */
export function pointUnder({ positions, matrix: m, width, height, size, pitch }, x, y) {
  let best = -1;
  let foremost = Infinity;
  let nearest = REACH;
  for (let i = 0, point = 0; i < positions.length; i += 3, point++) {
    const [px, py, pz] = [positions[i], positions[i + 1], positions[i + 2]];
    const w = m[3] * px + m[7] * py + m[11] * pz + m[15];
    if (w <= 0) continue;
    const dx = Math.abs((((m[0] * px + m[4] * py + m[8] * pz + m[12]) / w + 1) / 2) * width - x);
    if (dx > REACH) continue;
    const dy = Math.abs(((1 - (m[1] * px + m[5] * py + m[9] * pz + m[13]) / w) / 2) * height - y);
    if (dy > REACH) continue;
    const half = Math.max(0.5, (size * -pz) / w / 2);
    if (dx <= half && dy <= half) {
      // squares overlap: of neighbours, as good as equally far in front, the one whose middle is nearest
      const depth = w + 3 * pitch * -pz * (Math.hypot(dx, dy) / half);
      if (depth < foremost) [foremost, best] = [depth, point];
    } else if (foremost === Infinity && Math.hypot(dx, dy) < nearest) {
      [nearest, best] = [Math.hypot(dx, dy), point];
    }
  }
  return best;
}
