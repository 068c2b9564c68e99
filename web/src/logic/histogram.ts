import type { Histogram } from '../api/types';

export interface Bar {
  from: number; // score where the bar begins
  to: number;
  count: number;
  height: number; // 0 to 1
}

/// The bars between `low` and `high`, in steps no finer than `steps` bars in all. Heights follow the
/// square root of the counts: a few strong hits stay visible beside hundreds of weak ones.
export function bars(histogram: Histogram, low: number, high: number, steps: number): Bar[] {
  const { from, to, counts } = histogram;
  if (counts.length === 0 || to <= from || high <= low || steps < 1) return [];
  const result: Bar[] = Array.from({ length: steps }, (_, i) => ({
    from: low + ((high - low) * i) / steps,
    to: low + ((high - low) * (i + 1)) / steps,
    count: 0,
    height: 0,
  }));
  const bin = (to - from) / counts.length;
  counts.forEach((count, i) => {
    const centre = from + bin * (i + 0.5);
    const at = Math.floor(((centre - low) / (high - low)) * steps);
    const bar = result[Math.min(steps - 1, Math.max(0, at))];
    if (bar && centre >= low) bar.count += count;
  });
  const most = Math.max(1, ...result.map((b) => b.count));
  for (const bar of result) bar.height = Math.sqrt(bar.count / most);
  return result;
}

/// Candidates at or above `cutoff`. Exact where a bin begins at the cut-off; within a bin, its even
/// share.
export function countAbove(histogram: Histogram, cutoff: number): number {
  const { from, to, counts } = histogram;
  if (counts.length === 0 || to <= from) return 0;
  const at = ((cutoff - from) / (to - from)) * counts.length;
  let sum = 0;
  counts.forEach((count, i) => {
    // 1e-6 of a bin, so that 0.60 meets the edge of a bin that begins at 0.6000000001.
    const share = Math.min(1, Math.max(0, i + 1 - at));
    sum += share > 1 - 1e-6 ? count : share < 1e-6 ? 0 : count * share;
  });
  return Math.round(sum);
}

/// The slider's range: from a little below where bars begin (or the cut-off, if that is lower).
export function scoreRange(barFrom: number, cutoff: number): { low: number; high: number } {
  const low = Math.min(barFrom - 0.1, Math.floor(cutoff * 10 + 1e-9) / 10);
  return { low: Math.max(0, Math.round(low * 10) / 10), high: 1 };
}

export function clampCutoff(value: number): number {
  return Math.round(Math.min(1, Math.max(0, value)) * 100) / 100;
}
