// A stand-in for the server, for developing and testing the page. It speaks docs/openapi.yaml as far
// as the page does; a test holds its answers against that description.
import { createServer } from 'node:http';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { dirname, extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { drawnPictures, folderPictures, likeness, sha256 } from './pictures.mjs';
import { seeded } from './png.mjs';

const dist = join(dirname(fileURLToPath(import.meta.url)), '../dist');

export const securityHeaders = {
  'Content-Security-Policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; " +
    "connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
  'X-Content-Type-Options': 'nosniff',
  'Referrer-Policy': 'no-referrer',
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Resource-Policy': 'same-origin',
};

const types = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.svg': 'image/svg+xml',
  '.json': 'application/json',
  '.txt': 'text/plain; charset=utf-8',
};

const calibration = {
  cutoff: 0.6,
  bar_from: 0.4,
  bands: [
    { word: 'strong', min_score: 0.7 },
    { word: 'likely', min_score: 0.6 },
    { word: 'maybe', min_score: 0.5 },
  ],
};

class Problem extends Error {
  constructor(status, code, detail, hint = '') {
    super(detail);
    Object.assign(this, { status, code, hint });
  }
}

/// `folder`: pictures from there instead of drawn ones; `count`: how many are drawn.
export function createMock({ folder = null, count = 200, page = dist } = {}) {
  const mock = {
    collections: new Map(), // name -> pictures
    failed: new Map(), // name -> how many files failed
    job: null,
    failures: [],
    searchDelayMs: 0,
    indexError: null, // of every collection
    searchProblem: null, // [status, code, detail, hint]
    key: null, // a credential that is asked for
    command: 'similis', // how the program is called; null: this caller may not know
    requests: [],
    server: null,
    url: '',
  };
  const pictures = folder ? folderPictures(folder) : drawnPictures(count);
  mock.collections.set('pictures', pictures);
  const streams = new Set();
  const cursors = new Map();

  mock.setJob = (job) => {
    mock.job = job;
    for (const response of streams) sendJob(response);
  };

  function sendJob(response) {
    if (!mock.job) return;
    response.write(`id: ${mock.job.version}\nevent: job\ndata: ${JSON.stringify(mock.job)}\n\n`);
    if (['done', 'failed', 'cancelled'].includes(mock.job.state)) {
      streams.delete(response);
      response.end();
    }
  }

  const collection = (name) => ({
    name,
    created_at: '2026-03-01T09:12:44Z',
    counts: {
      ready: mock.collections.get(name).length,
      failed: mock.failed.get(name) ?? 0,
      pending: 0,
    },
    epoch: 212,
    model: {
      name: 'efficientnet-lite0',
      version: '1.0',
      dimensions: 1280,
      precision: 'bf16',
      calibration,
    },
    index: mock.indexError ? null : {
      kind: 'flat',
      vectors: mock.collections.get(name).length,
      bytes_in_memory: 22205440,
      bytes_on_disk: 23068672,
      codes: null,
      making: null,
    },
    index_error: mock.indexError,
    folders: [
      {
        path: '/srv/pictures',
        pictures: mock.collections.get(name).length,
        scanned_at: '2026-03-02T14:02:01Z',
        watched: false,
      },
    ],
    skipped: [],
  });

  function find(name) {
    const list = mock.collections.get(name);
    if (!list) throw new Problem(404, 'not_found', `no collection "${name}"`, 'see similis status');
    return list;
  }

  function image(name, p) {
    const url = `/api/v1/collections/${name}/images/${p.id}`;
    return {
      id: p.id,
      name: p.name,
      path: `${p.root}/${p.folder}/${p.name}`,
      folder: p.folder,
      date: p.date,
      width: p.width,
      height: p.height,
      bytes: p.size,
      format: p.format,
      class: p.probability >= 0.35 ? { name: p.className, probability: p.probability } : null,
      tags: [],
      thumbnail_url: `${url}/thumbnail`,
      preview_url: `${url}/preview`,
      file_url: `${url}/file`,
    };
  }

  function bandOf(score) {
    return calibration.bands.find((b) => score >= b.min_score)?.word ?? 'weak';
  }

  function answer(name, base, options) {
    const cutoff = options.min_score ?? calibration.cutoff;
    const scored = find(name)
      .filter((p) => !(options.exclude_self && p === base))
      .map((p) => ({ p, score: Math.min(1, likeness(base, p) * (options.dim ?? 1)) }))
      .sort((a, b) => b.score - a.score || Number(a.p.id) - Number(b.p.id))
      .slice(0, 1000);
    const counts = Array(100).fill(0);
    for (const { score } of scored) counts[Math.min(99, Math.max(0, Math.floor(score * 100)))]++;
    const token = `c${cursors.size}`;
    cursors.set(token, { name, base, options });
    const from = options.offset ?? 0;
    const k = options.k ?? 10;
    const slice = scored.slice(from, from + k);
    return {
      query: {
        ...(options.name ? { name: options.name } : {}),
        width: options.width ?? base.width,
        height: options.height ?? base.height,
        ...(options.stored ? { image: image(name, base) } : {}),
      },
      classes: [
        { name: base.className, probability: base.probability },
        { name: 'sandbar', probability: (1 - base.probability) * 0.3 },
        { name: 'breakwater', probability: (1 - base.probability) * 0.2 },
      ].sort((a, b) => b.probability - a.probability),
      hits: slice.map(({ p, score }) => ({
        ...image(name, p),
        score,
        band: bandOf(score),
        above_cutoff: score >= cutoff,
      })),
      cutoff,
      above_cutoff_count: scored.filter((s) => s.score >= cutoff).length,
      candidates: scored.length,
      total: mock.collections.get(name).length,
      histogram: { from: 0, to: 1, counts },
      timings_ms: { decode: 3.9, index: 0.4, metadata: 1.2, model: 2.1, total: 11.2 },
      stats: { reads: 0, bytes_read: 0, cache: 'miss', exact: true },
      next_cursor: from + k < scored.length ? `${token}.${from + k}` : null,
      epoch: 212,
    };
  }

  async function search(request, url, name) {
    const body = await read(request);
    if (mock.searchDelayMs) await new Promise((done) => setTimeout(done, mock.searchDelayMs));
    if (mock.searchProblem) throw new Problem(...mock.searchProblem);
    if ((request.headers['content-type'] ?? '').startsWith('application/json')) {
      const wanted = JSON.parse(body.toString());
      if (wanted.cursor) {
        const [token, offset] = wanted.cursor.split('.');
        const kept = cursors.get(token);
        if (!kept) {
          throw new Problem(410, 'gone', 'this page of results has expired', 'search again');
        }
        return answer(kept.name, kept.base, { ...kept.options, offset: Number(offset) });
      }
      const base = find(name).find((p) => p.id === wanted.image_id);
      if (!base) {
        throw new Problem(404, 'not_found', `no picture ${wanted.image_id} in ${name}`, 'it may have been removed');
      }
      return answer(name, base, { ...wanted, stored: true });
    }
    const magic = body.subarray(0, 4).toString('latin1');
    if (!['\u0089PNG', '\u00ff\u00d8\u00ff\u00e0', '\u00ff\u00d8\u00ff\u00e1', '\u00ff\u00d8\u00ff\u00db'].includes(magic)) {
      throw new Problem(415, 'unsupported_media', 'that is not a picture this reads', 'send JPEG, PNG, WebP, GIF, TIFF, HEIC, AVIF, JXL or BMP');
    }
    const query = url.searchParams;
    const hash = sha256(body);
    const list = find(name);
    const same = list.find((p) => p.read().equals(body));
    const base = same ?? { ...list[parseInt(hash.slice(0, 6), 16) % list.length], id: '7' };
    return answer(name, base, {
      k: Number(query.get('k') ?? 10),
      name: query.get('name'),
      ...(query.has('min_score') ? { min_score: Number(query.get('min_score')) } : {}),
      ...((query.get('name') ?? '').includes('nothing') ? { dim: 0.5 } : {}),
    });
  }

  async function api(request, response, url) {
    const parts = url.pathname.split('/').filter(Boolean).slice(2);
    const { method } = request;
    const json = (status, body, headers = {}) => {
      response.writeHead(status, { 'Content-Type': 'application/json', 'Cache-Control': 'no-store', ...headers });
      response.end(JSON.stringify(body));
    };
    if (parts[0] === 'session' && method === 'POST') {
      const { credential } = JSON.parse((await read(request)).toString());
      if (credential !== mock.key) throw new Problem(401, 'unauthenticated', 'wrong key', 'see similis keys list');
      response.writeHead(204, { 'Set-Cookie': `similis_session=${credential}; HttpOnly; SameSite=Strict; Path=/` });
      return response.end();
    }
    if (mock.key && !(request.headers.cookie ?? '').includes(`similis_session=${mock.key}`)) {
      throw new Problem(401, 'unauthenticated', 'this needs a credential', 'open the printed address');
    }
    if (parts[0] === 'status') {
      const share = (name, bytes) => ({ name, bytes });
      return json(200, {
        version: '0.1.0',
        data_dir: '/home/ada/.local/share/similis',
        collections: [...mock.collections.keys()].sort().map(collection),
        memory: { used_bytes: 327155712, limit_bytes: 1073741824, parts: [share('model', 146800640)] },
        disk: { used_bytes: 134217728, free_bytes: 83751862272, parts: [share('thumbs', 63963136)] },
        server: {
          address: mock.url,
          ...(mock.command === null ? {} : { command: mock.command }),
          started_at: '2026-03-02T11:05:00Z',
          searches: 41,
          search_median_ms: 9.1,
        },
        last_job: mock.job,
      });
    }
    if (parts[0] === 'collections' && parts.length === 1) {
      return json(200, { collections: [...mock.collections.keys()].sort().map(collection) });
    }
    if (parts[0] === 'collections' && parts[2] === 'images' && parts.length === 3) {
      const limit = Number(url.searchParams.get('limit') ?? 100);
      const list = [...find(parts[1])];
      if (url.searchParams.get('sort') === 'random') {
        const random = seeded(Number(url.searchParams.get('seed') ?? 0));
        for (let i = list.length - 1; i > 0; i--) {
          const j = Math.floor(random() * (i + 1));
          [list[i], list[j]] = [list[j], list[i]];
        }
      }
      return json(200, { images: list.slice(0, limit).map((p) => image(parts[1], p)), next_cursor: null });
    }
    if (parts[0] === 'collections' && parts[2] === 'images' && parts.length === 5) {
      const picture = find(parts[1]).find((p) => p.id === parts[3]);
      if (!picture) throw new Problem(404, 'not_found', `no picture ${parts[3]}`);
      response.writeHead(200, { 'Content-Type': picture.type, 'Cache-Control': 'private, max-age=3600' });
      return response.end(picture.read());
    }
    if (parts[0] === 'collections' && parts[2] === 'search' && method === 'POST') {
      return json(200, await search(request, url, parts[1]));
    }
    if (parts[0] === 'jobs' && parts.length === 1) {
      return json(200, { jobs: mock.job ? [mock.job] : [] });
    }
    if (parts[0] === 'jobs' && mock.job?.id !== parts[1]) {
      throw new Problem(404, 'not_found', `no job ${parts[1]}`);
    }
    if (parts[0] === 'jobs' && parts[2] === 'events') {
      response.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store' });
      streams.add(response);
      response.on('close', () => streams.delete(response));
      return sendJob(response);
    }
    if (parts[0] === 'jobs' && parts[2] === 'failures' && method === 'GET') {
      const from = Number(url.searchParams.get('cursor') ?? 0);
      const limit = Number(url.searchParams.get('limit') ?? 100);
      const next = from + limit < mock.failures.length ? String(from + limit) : null;
      return json(200, { failures: mock.failures.slice(from, from + limit), next_cursor: next });
    }
    if (parts[0] === 'jobs' && method === 'POST') {
      const states = { pause: 'paused', resume: 'running', cancel: 'cancelled' };
      if (parts[3] === 'retry') {
        mock.setJob(job({ id: String(Number(mock.job.id) + 1), state: 'queued', version: 1 }));
        return json(202, { ...mock.job, existed: false }, { Location: `/api/v1/jobs/${mock.job.id}` });
      }
      const state = states[parts[2]];
      if (!state) throw new Problem(404, 'not_found', `no ${parts[2]}`);
      mock.setJob({ ...mock.job, state, version: mock.job.version + 1, eta_s: state === 'running' ? mock.job.eta_s : null });
      return json(200, mock.job);
    }
    throw new Problem(404, 'not_found', `nothing at ${url.pathname}`);
  }

  function file(response, pathname) {
    let path = normalize(join(page, pathname));
    if (pathname === '/docs') path = join(page, 'docs.html');
    if (!path.startsWith(page) || !existsSync(path) || !statSync(path).isFile()) {
      if (pathname !== '/' && !pathname.startsWith('/c/')) {
        throw new Problem(404, 'not_found', `nothing at ${pathname}`);
      }
      path = join(page, 'index.html');
    }
    response.writeHead(200, { 'Content-Type': types[extname(path)] ?? 'application/octet-stream' });
    response.end(readFileSync(path));
  }

  mock.handle = async (request, response) => {
    const url = new URL(request.url, 'http://localhost');
    mock.requests.push(`${request.method} ${url.pathname}`);
    for (const [name, value] of Object.entries(securityHeaders)) response.setHeader(name, value);
    try {
      if (url.pathname === '/healthz') {
        response.writeHead(200, { 'Content-Type': 'application/json' });
        response.end('{"status":"ok"}');
      } else if (url.pathname.startsWith('/api/')) {
        await api(request, response, url);
      } else {
        file(response, url.pathname);
      }
    } catch (error) {
      if (!(error instanceof Problem)) console.error(error);
      const status = error.status ?? 500;
      response.writeHead(status, { 'Content-Type': 'application/problem+json' });
      response.end(
        JSON.stringify({
          type: 'about:blank',
          title: error.code ?? 'internal',
          status,
          code: error.code ?? 'internal',
          detail: error.message,
          hint: error.hint ?? '',
          request_id: '5f0c2b1e9d77',
        }),
      );
    }
  };

  mock.listen = (port = 0) =>
    new Promise((done) => {
      mock.server = createServer(mock.handle);
      mock.server.listen(port, '127.0.0.1', () => {
        mock.url = `http://127.0.0.1:${mock.server.address().port}`;
        done(mock);
      });
    });
  mock.close = () =>
    new Promise((done) => {
      for (const response of streams) response.destroy();
      mock.server.closeAllConnections();
      mock.server.close(done);
    });
  return mock;
}

async function read(request) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/// A job in the middle of its work, changed by `over`.
export function job(over = {}) {
  return {
    id: '17',
    kind: 'build',
    collection: 'pictures',
    state: 'running',
    root: '/srv/pictures',
    options: { hidden: false, retry_failed: false, watch: false },
    following: false,
    worked_s: 25.1,
    rate_per_s: 214.2,
    eta_s: 15,
    version: 43,
    created_at: '2026-03-02T14:01:18Z',
    started_at: '2026-03-02T14:01:18Z',
    finished_at: null,
    error: null,
    ...over,
    counters: {
      found: 8677,
      done: 5380,
      ready: 5377,
      failed: 3,
      skipped: 152,
      unchanged: 0,
      removed: 0,
      moved: 0,
      scanning: false,
      optimizing: false,
      ...over.counters,
    },
  };
}

export const failures = [
  {
    id: '8675',
    name: 'p3.jpg',
    folder: 'Scans',
    code: 'unreadable_media',
    reason: 'JPEG ends early: 18,233 of 40,112 bytes',
    hint: 'copy the file again from where it came',
    attempts: 1,
  },
  {
    id: '8676',
    name: 'DSC_0001.NEF',
    folder: 'raw',
    code: 'unsupported_media',
    reason: 'RAW is not read',
    hint: 'export it as JPEG or TIFF',
    attempts: 1,
  },
  {
    id: '8677',
    name: 'pano.tif',
    folder: 'big',
    code: 'too_large',
    reason: '51,200 × 20,000 is over limits.pixels_max',
    hint: 'raise it',
    attempts: 1,
  },
];
