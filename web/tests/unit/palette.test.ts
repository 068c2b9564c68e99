import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

const css = readFileSync(new URL('../../src/styles/base.css', import.meta.url), 'utf8');

function palette(selector: string): Record<string, string> {
  const start = css.indexOf(`${selector} {`);
  expect(start, selector).toBeGreaterThanOrEqual(0);
  const block = css.slice(start, css.indexOf('}', start));
  return Object.fromEntries(
    [...block.matchAll(/--([a-z-]+):\s*(#[0-9a-f]{6});/g)].map((m) => [m[1] ?? '', m[2] ?? '']),
  );
}

function luminance(hex: string): number {
  const [r = 0, g = 0, b = 0] = [1, 3, 5].map((i) => {
    const c = parseInt(hex.slice(i, i + 2), 16) / 255;
    return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

function contrast(a: string, b: string): number {
  const [x, y] = [luminance(a), luminance(b)];
  return (Math.max(x, y) + 0.05) / (Math.min(x, y) + 0.05);
}

const light = palette(':root');
const dark = palette(":root[data-theme='dark']");
const systemDark = palette(":root:not([data-theme='light'])");

describe.each([
  ['light', light],
  ['dark', dark],
])('%s palette', (_name, colours) => {
  const grounds = ['ground', 'surface', 'raised'];
  const ratio = (a: string, b: string) => contrast(colours[a] ?? '', colours[b] ?? '');

  it('has every colour', () => {
    expect(Object.keys(colours).sort()).toEqual(
      ['accent', 'bad', 'control', 'good', 'ground', 'hairline', 'muted', 'on-accent', 'raised', 'surface', 'text', 'warn'],
    );
  });

  it.each(grounds.flatMap((g) => ['text', 'muted', 'accent', 'good', 'warn', 'bad'].map((t) => [t, g])))(
    '%s on %s is read',
    (text, ground) => expect(ratio(text ?? '', ground ?? '')).toBeGreaterThanOrEqual(4.5),
  );

  it('text on the accent and on the banner is read', () => {
    expect(ratio('on-accent', 'accent')).toBeGreaterThanOrEqual(4.5);
    expect(ratio('surface', 'warn')).toBeGreaterThanOrEqual(4.5);
  });

  it.each(grounds)('controls stand out on %s', (ground) => {
    expect(ratio('control', ground)).toBeGreaterThanOrEqual(3);
    expect(ratio('accent', ground)).toBeGreaterThanOrEqual(3);
  });
});

it('dark by choice and dark by the system are the same', () => {
  expect(systemDark).toEqual(dark);
});

it('the score on its chip is read over black and over white', () => {
  // Black at 72 % over white is #474747.
  expect(contrast('#ffffff', '#474747')).toBeGreaterThanOrEqual(4.5);
});
