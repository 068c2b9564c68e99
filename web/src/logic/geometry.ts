import type { Box } from './layout';

export type Direction = 'left' | 'right' | 'up' | 'down';

/// The box an arrow key leads to from `current`, by what lies there on the screen. Left and right
/// go on in the neighbouring row; at the ends `current` stays.
export function neighbour(boxes: readonly Box[], current: number, direction: Direction): number {
  const here = boxes[current];
  if (!here) return boxes.length > 0 ? 0 : -1;
  if (direction === 'left') return Math.max(0, current - 1);
  if (direction === 'right') return Math.min(boxes.length - 1, current + 1);

  const centre = here.x + here.width / 2;
  const distance = (box: Box) => (direction === 'down' ? box.y - here.y : here.y - box.y);
  let row = Infinity; // distance of the nearest row in that direction
  for (const box of boxes) {
    const d = distance(box);
    if (d > 0 && d < row) row = d;
  }
  let best = current;
  let bestGap = Infinity;
  boxes.forEach((box, i) => {
    if (distance(box) !== row) return;
    const gap = Math.abs(box.x + box.width / 2 - centre);
    if (gap < bestGap) {
      best = i;
      bestGap = gap;
    }
  });
  return best;
}
