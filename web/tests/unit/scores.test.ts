import { describe, expect, it } from 'vitest';
import { bandWord, barShare, clearClasses, scoreText } from '../../src/logic/bands';
import { bars, clampCutoff, countAbove, scoreRange } from '../../src/logic/histogram';

const bands = [
  { word: 'strong', min_score: 0.7 },
  { word: 'likely', min_score: 0.6 },
  { word: 'maybe', min_score: 0.5 },
];

describe('words for scores', () => {
  it('begin at their scores', () => {
    expect(bandWord(1, bands)).toBe('strong');
    expect(bandWord(0.7, bands)).toBe('strong');
    expect(bandWord(0.6999, bands)).toBe('likely');
    expect(bandWord(0.5, bands)).toBe('maybe');
    expect(bandWord(0.49, bands)).toBe('weak');
    expect(bandWord(-1, [])).toBe('weak');
  });

  it('never round a score up to a cut-off it does not reach', () => {
    expect(scoreText(0.597, 0.6)).toBe('0.59');
    expect(scoreText(0.597)).toBe('0.60');
    expect(scoreText(0.6, 0.6)).toBe('0.60');
    expect(scoreText(0.9997, 0.6)).toBe('1.00');
    expect(scoreText(-0.126)).toBe('-0.13');
  });

  it('fill bars from where bars begin', () => {
    expect(barShare(0.4, 0.4)).toBe(0);
    expect(barShare(0.7, 0.4)).toBeCloseTo(0.5);
    expect(barShare(1, 0.4)).toBe(1);
    expect(barShare(0.1, 0.4)).toBe(0);
  });
});

describe('classes', () => {
  it('are named from 35 %, at most three', () => {
    const of = (...list: number[]) => clearClasses(list.map((probability) => ({ probability })));
    expect(of(0.61, 0.2)).toHaveLength(1);
    expect(of(0.35)).toHaveLength(1);
    expect(of(0.34, 0.33)).toHaveLength(0);
    expect(of(0.9, 0.8, 0.7, 0.6)).toHaveLength(3);
  });
});

describe('histogram', () => {
  const counts = Array.from({ length: 100 }, (_, i) => i);
  const histogram = { from: 0, to: 1, counts };

  it('counts exactly at every hundredth', () => {
    for (let at = 0; at <= 100; at++) {
      const sum = counts.slice(at).reduce((a, b) => a + b, 0);
      expect(countAbove(histogram, at / 100)).toBe(sum);
    }
  });

  it('takes an even share within a bin', () => {
    expect(countAbove({ from: 0, to: 1, counts: [10, 10] }, 0.75)).toBe(5);
    expect(countAbove({ from: 0, to: 1, counts: [] }, 0.5)).toBe(0);
  });

  it('draws every candidate of its range once', () => {
    const list = bars(histogram, 0.3, 1, 40);
    expect(list).toHaveLength(40);
    expect(list.reduce((sum, b) => sum + b.count, 0)).toBe(
      counts.slice(30).reduce((a, b) => a + b, 0),
    );
    expect(Math.max(...list.map((b) => b.height))).toBe(1);
    expect(bars({ from: 0, to: 1, counts: [] }, 0, 1, 40)).toEqual([]);
  });

  it('spans from a little below the bars, lower when the cut-off is', () => {
    expect(scoreRange(0.4, 0.6)).toEqual({ low: 0.3, high: 1 });
    expect(scoreRange(0.4, 0.27)).toEqual({ low: 0.2, high: 1 });
    expect(scoreRange(0, 0)).toEqual({ low: 0, high: 1 });
  });

  it('keeps the cut-off in hundredths of its range', () => {
    expect(clampCutoff(0.6 + 0.01)).toBe(0.61);
    expect(clampCutoff(1.4)).toBe(1);
    expect(clampCutoff(-3)).toBe(0);
  });
});
