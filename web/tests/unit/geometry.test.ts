import { describe, expect, it } from 'vitest';
import { neighbour } from '../../src/logic/geometry';

// 0 0 0 1 1
// 2 3 3 3 3
// 4 4
const boxes = [
  { x: 0, y: 0, width: 300, height: 200 },
  { x: 306, y: 0, width: 200, height: 200 },
  { x: 0, y: 206, width: 100, height: 180 },
  { x: 106, y: 206, width: 400, height: 180 },
  { x: 0, y: 392, width: 200, height: 220 },
];

describe('neighbour', () => {
  it('goes up and down to what lies there', () => {
    expect(neighbour(boxes, 0, 'down')).toBe(2);
    expect(neighbour(boxes, 1, 'down')).toBe(3);
    expect(neighbour(boxes, 3, 'up')).toBe(1);
    expect(neighbour(boxes, 3, 'down')).toBe(4);
    expect(neighbour(boxes, 4, 'up')).toBe(2);
  });

  it('goes on in the next row at the end of one', () => {
    expect(neighbour(boxes, 1, 'right')).toBe(2);
    expect(neighbour(boxes, 2, 'left')).toBe(1);
  });

  it('stays at the ends', () => {
    expect(neighbour(boxes, 0, 'left')).toBe(0);
    expect(neighbour(boxes, 0, 'up')).toBe(0);
    expect(neighbour(boxes, 4, 'right')).toBe(4);
    expect(neighbour(boxes, 4, 'down')).toBe(4);
  });

  it('starts at the first picture, and has none in an empty grid', () => {
    expect(neighbour(boxes, -1, 'down')).toBe(0);
    expect(neighbour([], 0, 'down')).toBe(-1);
  });
});
