import { describe, expect, it } from 'vitest';
import { cellRatio, fitInside, layoutRows, type Box } from '../../src/logic/layout';
import { seeded } from '../../mock/png.mjs';

const desktop = { width: 1392, height: 220, heightMin: 180, heightMax: 260, gap: 6 };
const phone = { width: 366, height: 130, heightMin: 106, heightMax: 154, gap: 4 };

function rows(boxes: Box[]): Box[][] {
  const list: Box[][] = [];
  for (const box of boxes) {
    const last = list[list.length - 1];
    if (last && last[0]?.y === box.y) last.push(box);
    else list.push([box]);
  }
  return list;
}

describe('layoutRows', () => {
  it('keeps its promises for any pictures', () => {
    const seed = Math.floor(Math.random() * 1e9);
    console.log(`seed ${seed}`);
    const random = seeded(seed);
    for (let round = 0; round < 300; round++) {
      const options = { ...(round % 2 ? desktop : phone) };
      options.width += Math.floor(random() * 400);
      const ratios = Array.from({ length: 1 + Math.floor(random() * 80) }, () =>
        cellRatio(0.2 + 6 * random() ** 2, 1),
      );
      const { boxes, height } = layoutRows(ratios, options);
      expect(boxes).toHaveLength(ratios.length);
      const all = rows(boxes);
      let y = 0;
      all.forEach((row, i) => {
        let x = 0;
        for (const box of row) {
          expect(box.x).toBe(x);
          expect(box.y).toBe(y);
          expect(box.height).toBe(row[0]?.height);
          x = box.x + box.width + options.gap;
        }
        const right = x - options.gap;
        const rowHeight = row[0]?.height ?? 0;
        expect(rowHeight).toBeLessThanOrEqual(options.heightMax);
        if (i < all.length - 1) {
          expect(right).toBe(options.width);
          expect(rowHeight).toBeGreaterThanOrEqual(options.heightMin);
        } else {
          expect(right).toBeLessThanOrEqual(options.width + 1);
        }
        y += rowHeight + options.gap;
      });
      expect(height).toBe(y - options.gap);
    }
  });

  it('never moves rows that are there when pictures are appended', () => {
    const random = seeded(11);
    const ratios = Array.from({ length: 120 }, () => cellRatio(0.5 + 2 * random(), 1));
    const whole = layoutRows(ratios, desktop).boxes;
    for (const count of [1, 7, 30, 100]) {
      const part = layoutRows(ratios.slice(0, count), desktop).boxes;
      const lastRow = part[part.length - 1]?.y ?? 0;
      part.filter((b) => b.y < lastRow).forEach((box, i) => expect(box).toEqual(whole[i]));
    }
  });

  it('does not stretch a last row', () => {
    const { boxes } = layoutRows([1, 1], desktop);
    expect(boxes.map((b) => b.height)).toEqual([220, 220]);
    expect(boxes.map((b) => b.width)).toEqual([220, 220]);
  });

  it('has nothing to place for nothing', () => {
    expect(layoutRows([], desktop)).toEqual({ boxes: [], height: 0 });
  });
});

describe('fitInside', () => {
  it('shows a picture whole and never above one and a half times its size', () => {
    expect(fitInside({ width: 220, height: 220 }, { width: 48, height: 48 })).toEqual({
      width: 72,
      height: 72,
    });
    expect(fitInside({ width: 300, height: 200 }, { width: 6000, height: 2000 })).toEqual({
      width: 300,
      height: 100,
    });
  });
});

describe('cellRatio', () => {
  it('bounds panoramas and slips, and survives sizes that are not known', () => {
    expect(cellRatio(3000, 2000)).toBe(1.5);
    expect(cellRatio(20000, 100)).toBe(3);
    expect(cellRatio(10, 5000)).toBe(0.45);
    expect(cellRatio(0, 0)).toBe(1);
  });
});
