// The mock's collection: drawn pictures, or JPEG files of a folder of folders.
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { drawPicture, seeded } from './png.mjs';

const families = ['seashore', 'alp', 'lakeside', 'valley', 'cliff', 'volcano', 'sandbar', 'promontory'];
const shapes = [[320, 240], [240, 320], [320, 213], [320, 180], [256, 256], [213, 320], [320, 240]];
const odd = [
  { name: '<img src=x onerror=alert(1)>.png' },
  { name: 'invoice\u202egnp.exe.png' },
  { name: `${'a very long name '.repeat(8)}0042.png` },
  { name: 'icon.png', size: [48, 48] },
  { name: 'panorama.png', size: [512, 80] },
  { name: 'slip.png', size: [90, 512] },
];

const drawn = new Map(); // bytes by index: every mock has the same pictures

export function drawnPictures(count) {
  return Array.from({ length: count }, (_, i) => {
    const random = seeded(i + 1);
    const family = i % families.length;
    const special = odd[i];
    const [width, height] = special?.size ?? shapes[Math.floor(random() * shapes.length)];
    const scale = special?.size ? 1 : 12;
    const year = 2016 + Math.floor(random() * 9);
    const month = 1 + Math.floor(random() * 12);
    return {
      id: String(400 + i),
      name: special?.name ?? `IMG_${2200 + i * 7}.png`,
      folder: `Holidays/${year}`,
      root: '/srv/pictures',
      date: new Date(Date.UTC(year, month - 1, 1 + Math.floor(random() * 28), 10, i % 60)).toISOString().replace('.000', ''),
      width: width * scale,
      height: height * scale,
      family,
      className: families[family],
      probability: random() < 0.2 ? 0.2 : 0.4 + random() * 0.5,
      type: 'image/png',
      format: 'png',
      size: 120_000 + Math.floor(random() * 4e6),
      read() {
        if (!drawn.has(i)) drawn.set(i, drawPicture(width, height, family, seeded(i + 1000)));
        return drawn.get(i);
      },
    };
  });
}

/// Width and height from a JPEG's frame header.
function jpegSize(bytes) {
  let at = 2;
  while (at + 9 < bytes.length) {
    const marker = bytes[at + 1];
    if (marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker)) {
      return { width: bytes.readUInt16BE(at + 7), height: bytes.readUInt16BE(at + 5) };
    }
    at += 2 + bytes.readUInt16BE(at + 2);
  }
  return { width: 1, height: 1 };
}

export function folderPictures(root) {
  const list = [];
  readdirSync(root).sort().forEach((folder, family) => {
    if (!statSync(join(root, folder)).isDirectory()) return;
    for (const name of readdirSync(join(root, folder)).sort()) {
      if (!/\.jpe?g$/i.test(name)) continue;
      const path = join(root, folder, name);
      const bytes = readFileSync(path);
      const random = seeded(list.length + 7);
      list.push({
        id: String(400 + list.length),
        name,
        folder,
        root: `/srv/${basename(root)}`,
        date: new Date(Date.UTC(2015 + Math.floor(random() * 10), Math.floor(random() * 12), 1 + Math.floor(random() * 28))).toISOString().replace('.000', ''),
        ...jpegSize(bytes),
        family,
        className: folder.replace(/_/g, ' ').toLowerCase(),
        probability: 0.2 + random() * 0.75,
        type: 'image/jpeg',
        format: 'jpeg',
        size: bytes.length,
        read: () => bytes,
      });
    }
  });
  return list;
}

export const sha256 = (bytes) => createHash('sha256').update(bytes).digest('hex');

/// A made-up likeness in place of a model: high within a family, low across, always the same.
export function likeness(a, b) {
  if (a === b) return 1;
  const [low, high] = Number(a.id) < Number(b.id) ? [a, b] : [b, a];
  const random = seeded(Number(low.id) * 7919 + Number(high.id));
  random();
  const noise = random();
  return a.family === b.family ? 0.5 + 0.45 * noise : 0.18 + 0.4 * noise * noise;
}
