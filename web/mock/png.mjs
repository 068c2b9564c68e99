// Small PNG pictures drawn from numbers: what a test looks at, without a file in the repository.
import { deflateSync, crc32 as zlibCrc32 } from 'node:zlib';

const table = Array.from({ length: 256 }, (_, n) => {
  let c = n;
  for (let k = 0; k < 8; k++) c = c & 1 ? 0xedb88320 ^ (c >>> 1) : c >>> 1;
  return c >>> 0;
});

function crc32(bytes) {
  if (zlibCrc32) return zlibCrc32(bytes); // Node 20.15 and later
  let c = 0xffffffff;
  for (const b of bytes) c = table[(c ^ b) & 255] ^ (c >>> 8);
  return (c ^ 0xffffffff) >>> 0;
}

function chunk(type, data) {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  const out = Buffer.alloc(body.length + 8);
  out.writeUInt32BE(data.length, 0);
  body.copy(out, 4);
  out.writeUInt32BE(crc32(body), body.length + 4);
  return out;
}

/// `pixel(x, y)` gives [r, g, b].
export function encodePng(width, height, pixel) {
  const rows = Buffer.alloc((width * 3 + 1) * height);
  let at = 0;
  for (let y = 0; y < height; y++) {
    rows[at++] = 0;
    for (let x = 0; x < width; x++) {
      const [r, g, b] = pixel(x, y);
      rows[at++] = r;
      rows[at++] = g;
      rows[at++] = b;
    }
  }
  const head = Buffer.alloc(13);
  head.writeUInt32BE(width, 0);
  head.writeUInt32BE(height, 4);
  head[8] = 8;
  head[9] = 2;
  return Buffer.concat([
    Buffer.from([137, 80, 78, 71, 13, 10, 26, 10]),
    chunk('IHDR', head),
    chunk('IDAT', deflateSync(rows, { level: 1 })),
    chunk('IEND', Buffer.alloc(0)),
  ]);
}

function hsl(h, s, l) {
  const f = (n) => {
    const k = (n + h * 12) % 12;
    return Math.round(255 * (l - s * Math.min(l, 1 - l) * Math.max(-1, Math.min(k - 3, 9 - k, 1))));
  };
  return [f(0), f(8), f(4)];
}

/// A landscape of one of eight moods: sky, a sun, hills.
export function drawPicture(width, height, family, random) {
  const hue = (family * 0.125 + random() * 0.05) % 1;
  const sky = [hsl(hue, 0.45, 0.82), hsl(hue, 0.5, 0.6)];
  const sun = { x: random() * width, y: (0.15 + random() * 0.3) * height, r: (0.06 + random() * 0.08) * height };
  const glow = hsl((hue + 0.12) % 1, 0.8, 0.88);
  const hills = [0.55, 0.68, 0.82].map((base, i) => ({
    base: base + (random() - 0.5) * 0.06,
    wave: 0.03 + random() * 0.06,
    length: width * (0.25 + random() * 0.4),
    phase: random() * 6.3,
    colour: hsl((hue + 0.05 * (i + 1)) % 1, 0.38, 0.46 - 0.12 * i),
  }));
  return encodePng(width, height, (x, y) => {
    for (let i = hills.length - 1; i >= 0; i--) {
      const h = hills[i];
      const edge = (h.base + h.wave * Math.sin(x / h.length * 6.3 + h.phase)) * height;
      if (y > edge) return h.colour;
    }
    if (Math.hypot(x - sun.x, y - sun.y) < sun.r) return glow;
    const t = y / height;
    return [0, 1, 2].map((c) => Math.round(sky[0][c] * (1 - t) + sky[1][c] * t));
  });
}

/// Numbers in [0, 1) from a seed.
export function seeded(seed) {
  let a = seed >>> 0;
  return () => {
    a = (a + 0x6d2b79f5) >>> 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}
