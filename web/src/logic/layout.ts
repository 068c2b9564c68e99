/// Rows of pictures that fill the width, each as high as it comes out, close to a wished height.

export interface Box {
  x: number;
  y: number;
  width: number;
  height: number;
}

export interface RowOptions {
  width: number; // of the whole row, px
  height: number; // wished, px
  heightMin: number;
  heightMax: number;
  gap: number;
}

export interface Layout {
  boxes: Box[]; // one a picture, in order
  height: number; // of all rows
}

/// Panoramas and slips are shown whole inside a cell of at most this shape.
export const ratioMin = 0.45;
export const ratioMax = 3;

export function cellRatio(width: number, height: number): number {
  if (!(width > 0) || !(height > 0)) return 1;
  return Math.min(ratioMax, Math.max(ratioMin, width / height));
}

/// Greedy: rows above never change when pictures are appended, so nothing jumps while scrolling.
/// Every row but the last has a height within [heightMin, heightMax] and ends exactly at the right
/// edge; the last one is not stretched beyond the wished height.
export function layoutRows(ratios: readonly number[], options: RowOptions): Layout {
  const { width, height, heightMin, heightMax, gap } = options;
  const boxes: Box[] = [];
  let y = 0;

  const heightOf = (sum: number, count: number) => (width - gap * (count - 1)) / sum;

  const place = (from: number, to: number, rowHeight: number, fill: boolean) => {
    const row = ratios.slice(from, to);
    const room = width - gap * (row.length - 1);
    const sum = row.reduce((a, b) => a + b, 0);
    let x = 0;
    let used = 0;
    row.forEach((ratio, i) => {
      used += ratio;
      // Rounded edges, not rounded widths, so that the right ends meet.
      const share = fill ? (room * used) / sum : rowHeight * used;
      const end = Math.round(share) + gap * i;
      boxes.push({ x, y, width: Math.max(1, end - x), height: rowHeight });
      x = end + gap;
    });
    y += rowHeight + gap;
  };

  let from = 0;
  let sum = 0;
  for (let i = 0; i < ratios.length; i++) {
    const ratio = ratios[i] ?? 1;
    const count = i - from;
    const without = count > 0 ? heightOf(sum, count) : Infinity;
    const withIt = heightOf(sum + ratio, count + 1);
    if (withIt > height) {
      sum += ratio;
      continue;
    }
    const breakBefore =
      without <= heightMax && (withIt < heightMin || without - height < height - withIt);
    if (breakBefore) {
      place(from, i, Math.round(without), true);
      from = i;
      sum = ratio;
      if (heightOf(sum, 1) <= height) {
        place(i, i + 1, clamp(heightOf(sum, 1), heightMin, heightMax), true);
        from = i + 1;
        sum = 0;
      }
    } else {
      place(from, i + 1, clamp(withIt, heightMin, heightMax), true);
      from = i + 1;
      sum = 0;
    }
  }
  if (from < ratios.length) {
    const natural = heightOf(sum, ratios.length - from);
    place(from, ratios.length, Math.round(Math.min(height, natural)), false);
  }
  return { boxes, height: Math.max(0, y - gap) };
}

function clamp(value: number, low: number, high: number): number {
  return Math.round(Math.min(high, Math.max(low, value)));
}

/// The size a picture is drawn at inside its cell: whole, and never above 1.5 times its own.
export function fitInside(
  cell: { width: number; height: number },
  picture: { width: number; height: number },
): { width: number; height: number } {
  const w = Math.max(1, picture.width);
  const h = Math.max(1, picture.height);
  const scale = Math.min(cell.width / w, cell.height / h, 1.5);
  return { width: w * scale, height: h * scale };
}
