import { describe, expect, it } from 'vitest';
import { bytes, day, duration, middle, milliseconds, number, plain, plural, shellWord } from '../../src/logic/format';
import { notAPicture, notAPictureBytes } from '../../src/logic/media';

describe('figures', () => {
  it('are grouped, and in units one reads', () => {
    expect(number(8674)).toBe('8,674');
    expect(plural(1, 'match', 'matches')).toBe('1 match');
    expect(plural(0, 'file')).toBe('0 files');
    expect(bytes(999)).toBe('999 B');
    expect(bytes(3481120)).toBe('3.5 MB');
    expect(bytes(999_960)).toBe('1.0 MB');
    expect(bytes(21_000)).toBe('21 kB');
    expect(duration(15.2)).toBe('15 s');
    expect(duration(75)).toBe('1 min 15 s');
    expect(duration(3600)).toBe('1 h');
    expect(duration(7500)).toBe('2 h 5 min');
    expect(milliseconds(3.94)).toBe('3.9 ms');
    expect(milliseconds(1234)).toBe('1,234 ms');
    expect(day('2019-07-14T23:59:05Z')).toBe('14 Jul 2019');
    expect(day(null)).toBe('');
    expect(day('soon')).toBe('');
  });
});

describe('names', () => {
  it('are shortened in the middle', () => {
    expect(middle('IMG_2231.jpg', 30)).toBe('IMG_2231.jpg');
    expect(middle('a long photo of the bay.jpg', 16)).toBe('a long ph…ay.jpg');
    expect([...middle('x'.repeat(99), 20)]).toHaveLength(20);
  });

  it('hide no marks', () => {
    expect(plain('invoice\u202egnp.exe')).toBe('invoice\\u202egnp.exe');
    expect(plain('a\nb\u0007')).toBe('a\\u000ab\\u0007');
    expect(plain('Łódź 東京 🏖.jpg')).toBe('Łódź 東京 🏖.jpg');
  });
});

describe('a word for the shell', () => {
  it('is quoted where it has to be', () => {
    expect(shellWord('./similis')).toBe('./similis');
    expect(shellWord('/home/ada/my pictures/similis')).toBe("'/home/ada/my pictures/similis'");
    expect(shellWord("it's; rm -rf $HOME")).toBe("'it'\\''s; rm -rf $HOME'");
    expect(shellWord('')).toBe("''");
  });
});

describe('what is not a picture', () => {
  it('is known by its type', () => {
    expect(notAPicture('application/pdf')).toBe('a PDF');
    expect(notAPicture('video/quicktime')).toBe('a video');
    expect(notAPicture('image/svg+xml')).toBe('an SVG drawing');
    for (const type of ['image/jpeg', 'image/heic', '', 'application/octet-stream']) {
      expect(notAPicture(type)).toBeNull();
    }
  });

  it('is known by its first bytes', () => {
    const of = (text: string) => notAPictureBytes(Uint8Array.from(text, (c) => c.charCodeAt(0)));
    expect(of('%PDF-1.7')).toBe('a PDF');
    expect(of('\0\0\0\u0018ftypmp42')).toBe('a video');
    expect(of('\0\0\0\u0018ftypheic')).toBeNull();
    expect(of('\0\0\0\u0018ftypavif')).toBeNull();
    expect(of('  <?xml version="1.0"?><svg xmlns="…">')).toBe('an SVG drawing');
    expect(of('\u0089PNG\r\n')).toBeNull();
    expect(of('')).toBeNull();
  });
});
