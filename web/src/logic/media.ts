/// What a thing is that somebody drags or drops here, by its declared type or its first bytes.
/// Only what is certainly not a picture is refused here; about the rest the server decides.

const words: [RegExp, string][] = [
  [/^application\/pdf$/, 'a PDF'],
  [/^image\/svg/, 'an SVG drawing'],
  [/^video\//, 'a video'],
  [/^audio\//, 'a sound'],
  [/^application\/(zip|x-zip|x-7z|gzip|x-tar|x-rar|vnd\.rar|java-archive)/, 'an archive'],
  [/^application\/(msword|vnd\.openxmlformats-officedocument\.wordprocessingml)/, 'a text document'],
  [/^application\/(vnd\.ms-excel|vnd\.openxmlformats-officedocument\.spreadsheetml)/, 'a table'],
  [/^application\/(vnd\.ms-powerpoint|vnd\.openxmlformats-officedocument\.presentationml)/, 'slides'],
  [/^application\/json/, 'a JSON file'],
  [/^text\/html/, 'a web page'],
  [/^text\//, 'a text'],
];

/// "a PDF" for a MIME type that is no picture; null when it may be one.
export function notAPicture(type: string): string | null {
  for (const [pattern, word] of words) if (pattern.test(type)) return word;
  return null;
}

/// The same by content: files lie about their type.
export function notAPictureBytes(head: Uint8Array): string | null {
  const text = String.fromCharCode(...head.subarray(0, 256));
  if (text.startsWith('%PDF-')) return 'a PDF';
  if (text.startsWith('PK\u0003\u0004')) return 'an archive';
  if (text.slice(4, 8) === 'ftyp' && /^(isom|mp4|avc1|qt {2}|M4V|M4A|3gp)/.test(text.slice(8, 12))) {
    return 'a video';
  }
  if (text.startsWith('\u001aE\u00df\u00a3')) return 'a video';
  if (text.startsWith('ID3') || text.startsWith('OggS')) return 'a sound';
  const start = text.replace(/^\u00ef\u00bb\u00bf/, '').trimStart().toLowerCase();
  if (start.startsWith('<svg') || (start.startsWith('<?xml') && start.includes('<svg'))) {
    return 'an SVG drawing';
  }
  if (start.startsWith('<!doctype html') || start.startsWith('<html')) return 'a web page';
  return null;
}
