/// Query pictures of this tab, kept so that back, forward and reload find them. They live in the
/// tab's memory and, for a reload, in its session storage; both end with the tab.

export interface Upload {
  key: string;
  name: string;
  blob: Blob;
  url: string; // object URL
}

const kept = new Map<string, Upload>();
const keptMax = 12;
const prefix = 'similis.query.';
const storedBytesMax = 3_000_000; // base64 of it stays below the 5 M characters browsers allow
const copySidePx = 2048;

let count = 0;

export function addUpload(blob: Blob, name: string): Upload {
  const key = `${Date.now().toString(36)}${(count++).toString(36)}`;
  const upload: Upload = { key, name, blob, url: URL.createObjectURL(blob) };
  kept.set(key, upload);
  if (kept.size > keptMax) {
    const oldest = kept.values().next().value;
    if (oldest) {
      URL.revokeObjectURL(oldest.url);
      kept.delete(oldest.key);
    }
  }
  void store(upload);
  return upload;
}

export async function findUpload(key: string): Promise<Upload | null> {
  const here = kept.get(key);
  if (here) return here;
  let text: string | null = null;
  try {
    text = sessionStorage.getItem(prefix + key);
  } catch {
    return null; // storage is forbidden here
  }
  if (text === null) return null;
  const [name = '', type = '', data = ''] = text.split('\n');
  const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
  const blob = new Blob([bytes], { type });
  const upload: Upload = { key, name, blob, url: URL.createObjectURL(blob) };
  kept.set(key, upload);
  return upload;
}

async function store(upload: Upload): Promise<void> {
  const blob = upload.blob.size <= storedBytesMax ? upload.blob : await smaller(upload.blob);
  if (!blob || blob.size > storedBytesMax) return; // a reload then starts without it
  const data = base64(new Uint8Array(await blob.arrayBuffer()));
  try {
    // One at a time: the space is small, and only the latest can be reloaded.
    for (const key of Object.keys(sessionStorage)) {
      if (key.startsWith(prefix)) sessionStorage.removeItem(key);
    }
    const name = upload.name.replace(/\n/g, ' ');
    sessionStorage.setItem(prefix + upload.key, `${name}\n${blob.type}\n${data}`);
  } catch {
    // Full or forbidden: a reload then starts without it.
  }
}

/// A copy of a big picture, small enough to keep; null when this browser cannot read it.
async function smaller(blob: Blob): Promise<Blob | null> {
  try {
    const bitmap = await createImageBitmap(blob);
    const scale = Math.min(1, copySidePx / Math.max(bitmap.width, bitmap.height));
    const canvas = document.createElement('canvas');
    canvas.width = Math.max(1, Math.round(bitmap.width * scale));
    canvas.height = Math.max(1, Math.round(bitmap.height * scale));
    const context = canvas.getContext('2d');
    if (!context) return null;
    context.fillStyle = '#fff';
    context.fillRect(0, 0, canvas.width, canvas.height);
    context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
    bitmap.close();
    return await new Promise((done) => canvas.toBlob(done, 'image/jpeg', 0.92));
  } catch {
    return null;
  }
}

function base64(bytes: Uint8Array): string {
  let text = '';
  for (let i = 0; i < bytes.length; i += 0x8000) {
    text += String.fromCharCode(...bytes.subarray(i, i + 0x8000));
  }
  return btoa(text);
}
