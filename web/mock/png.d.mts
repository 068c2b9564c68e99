export function encodePng(
  width: number,
  height: number,
  pixel: (x: number, y: number) => [number, number, number],
): Buffer;
export function drawPicture(
  width: number,
  height: number,
  family: number,
  random: () => number,
): Buffer;
export function seeded(seed: number): () => number;
