import type { Band } from '../api/types';

/// The word for a score; `bands` from the highest.
export function bandWord(score: number, bands: readonly Band[]): string {
  for (const band of bands) if (score >= band.min_score) return band.word;
  return 'weak';
}

/// How much of a score's bar is filled, 0 to 1: bars are drawn from `from` to 1.
export function barShare(score: number, from: number): number {
  if (from >= 1) return score >= 1 ? 1 : 0;
  return Math.min(1, Math.max(0, (score - from) / (1 - from)));
}

/// Two decimals. Rounded, but never up to a cut-off that the score does not reach: 0.597 reads 0.59
/// beside a cut-off of 0.60.
export function scoreText(score: number, cutoff = Infinity): string {
  const rounded = Math.round(score * 100) / 100;
  const shown = score < cutoff && rounded >= cutoff ? Math.floor(score * 100) / 100 : rounded;
  return shown.toFixed(2);
}

export const clearClass = 0.35;

/// The classes worth naming: from 35 %, at most three.
export function clearClasses<T extends { probability: number }>(classes: readonly T[]): T[] {
  return classes.filter((c) => c.probability >= clearClass).slice(0, 3);
}
