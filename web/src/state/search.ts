import { computed, shallowReactive, shallowReadonly, watch } from 'vue';
import { api, ApiError, ConnectionError } from '../api/client';
import type { Calibration, Hit, Image, SearchResponse } from '../api/types';
import { sentence } from '../logic/format';
import { clampCutoff, countAbove } from '../logic/histogram';
import { notAPicture, notAPictureBytes } from '../logic/media';
import { onBack } from './connection';
import { current } from './library';
import { go, route } from './router';
import { addUpload, findUpload, type Upload } from './uploads';

/// The query, its answer, and the cut-off over it.

export interface Trouble {
  what: string;
  todo: string;
  retry: boolean;
}

export type Query =
  | { kind: 'upload'; upload: Upload; name: string }
  | { kind: 'stored'; id: string; image: Image | null; name: string };

const state = shallowReactive({
  query: null as Query | null,
  phase: 'idle' as 'idle' | 'searching' | 'done' | 'failed' | 'cancelled',
  waiting: false, // long enough for skeletons
  slow: false, // long enough to say so
  response: null as SearchResponse | null,
  hits: [] as readonly Hit[],
  nextCursor: null as string | null,
  loadingMore: false,
  moreTrouble: null as Trouble | null,
  trouble: null as Trouble | null,
});
export const search = shallowReadonly(state);

const pageSize = 100;
const belowMax = 12;
const candidatesMax = 1000; // how far the server pages
const skeletonAfterMs = 150;
const slowAfterMs = 3000;
const fallback: Calibration = { cutoff: 0.6, bar_from: 0.4, bands: [] };

let running: AbortController | null = null;
let skeletonTimer: number | undefined;
let slowTimer: number | undefined;

export const calibration = computed<Calibration>(
  () => current.value?.model?.calibration ?? fallback,
);
export const cutoff = computed(
  () => route.min ?? state.response?.cutoff ?? calibration.value.cutoff,
);
/// Below this a loaded hit shows that nothing above the cut-off is left on the server.
const lowestLoaded = computed(() => state.hits[state.hits.length - 1]?.score ?? Infinity);
const allAboveLoaded = computed(
  () => state.nextCursor === null || lowestLoaded.value < cutoff.value,
);
const reaches = (hit: Hit) => hit.score >= cutoff.value - 1e-9;

export const above = computed<Hit[]>(() => {
  const hits = state.hits.filter(reaches);
  if (route.sort === 'date') {
    hits.sort((a, b) => (b.date ?? '').localeCompare(a.date ?? '') || Number(a.id) - Number(b.id));
  }
  return hits;
});
export const below = computed<Hit[]>(() =>
  allAboveLoaded.value ? state.hits.filter((h) => !reaches(h)).slice(0, belowMax) : [],
);
export const aboveCount = computed(() => {
  if (!state.response) return 0;
  if (allAboveLoaded.value) return above.value.length;
  if (route.min === null) return state.response.above_cutoff_count;
  return Math.max(above.value.length, countAbove(state.response.histogram, cutoff.value));
});
/// The candidates end while still above the cut-off: there may be more than can be paged to.
export const aboveIsMinimum = computed(() => {
  const r = state.response;
  return r !== null && r.candidates >= candidatesMax && aboveCount.value >= r.candidates;
});
export const wantsMore = computed(
  () => state.phase === 'done' && state.nextCursor !== null && !allAboveLoaded.value,
);

// ---- starting

export function choosePicture(picture: Blob, name: string): void {
  void accept(picture, name);
}

async function accept(picture: Blob, name: string): Promise<void> {
  const what =
    notAPicture(picture.type) ??
    notAPictureBytes(new Uint8Array(await picture.slice(0, 512).arrayBuffer()));
  if (what) {
    refuse(`That is ${what}, not a picture`);
    return;
  }
  if (picture.size === 0) {
    refuse('That file is empty');
    return;
  }
  const upload = addUpload(picture, name);
  go({ like: null, min: null, sort: 'score', upload: upload.key, detail: undefined });
}

/// Says why something dropped or pasted is no query. The query there is stays as it is.
export function refuse(what: string): void {
  state.trouble = {
    what,
    todo: 'Choose a JPEG, PNG, WebP, GIF, TIFF, HEIC, AVIF, JXL or BMP.',
    retry: false,
  };
}

export function searchLike(id: string): void {
  go({ like: id, min: null, sort: 'score', upload: undefined, detail: undefined });
}

export function clearQuery(): void {
  go({ like: null, min: null, sort: 'score', upload: undefined, detail: undefined });
}

export function setCutoff(value: number): void {
  go({ min: clampCutoff(value) }, { replace: true });
}

export function setSort(sort: 'score' | 'date'): void {
  go({ sort }, { replace: true });
}

function reset(): void {
  stop();
  state.query = null;
  state.phase = 'idle';
  state.trouble = null;
  state.response = null;
  state.hits = [];
  state.nextCursor = null;
}

function stop(): void {
  running?.abort();
  running = null;
  window.clearTimeout(skeletonTimer);
  window.clearTimeout(slowTimer);
  state.waiting = false;
  state.slow = false;
  state.loadingMore = false;
  state.moreTrouble = null;
}

export function cancel(): void {
  if (state.phase !== 'searching') return;
  stop();
  state.phase = 'cancelled';
  state.hits = [];
  state.response = null;
  state.trouble = { what: 'Search cancelled', todo: '', retry: true };
}

export function retry(): void {
  if (state.query) void run(state.query);
}

export function dismissTrouble(): void {
  state.trouble = null;
}

async function run(query: Query): Promise<void> {
  const collection = route.collection;
  if (collection === null) return;
  stop();
  const controller = new AbortController();
  running = controller;
  state.query = query;
  state.phase = 'searching';
  state.trouble = null;
  skeletonTimer = window.setTimeout(() => (state.waiting = true), skeletonAfterMs);
  slowTimer = window.setTimeout(() => (state.slow = true), slowAfterMs);
  const options = { k: pageSize, ...(route.min !== null ? { min_score: route.min } : {}) };
  try {
    const response =
      query.kind === 'upload'
        ? await api.searchPicture(
            collection,
            query.upload.blob,
            { ...options, name: query.name },
            controller.signal,
          )
        : await api.search(
            collection,
            { image_id: query.id, exclude_self: true, ...options },
            controller.signal,
          );
    if (running !== controller) return;
    stop();
    state.response = response;
    state.hits = response.hits;
    state.nextCursor = response.next_cursor;
    state.phase = 'done';
    if (query.kind === 'stored' && response.query.image) {
      state.query = { ...query, image: response.query.image, name: response.query.image.name };
    }
  } catch (error) {
    if (running !== controller) return;
    stop();
    state.phase = 'failed';
    state.trouble = troubleOf(error);
    if (error instanceof ConnectionError || wantsKey(error)) return; // pictures stay; tried again
    state.hits = [];
    state.response = null;
  }
}

const wantsKey = (error: unknown) => error instanceof ApiError && error.problem.status === 401;

function troubleOf(error: unknown): Trouble {
  if (wantsKey(error)) {
    return {
      what: 'The server does not know this page any more.',
      todo: 'The search is repeated when it does.',
      retry: true,
    };
  }
  if (error instanceof ApiError) {
    const { detail, hint, status } = error.problem;
    // Sending the same again helps against none of the caller's mistakes.
    const retry = status >= 500 || status === 408 || status === 410 || status === 429;
    return { what: sentence(detail), todo: sentence(hint), retry };
  }
  if (error instanceof ConnectionError) {
    return {
      what: 'The server does not answer.',
      todo: 'The search is repeated when it is back.',
      retry: true,
    };
  }
  throw error;
}

// ---- further pages

export async function loadMore(): Promise<void> {
  const collection = route.collection;
  const cursor = state.nextCursor;
  if (collection === null || cursor === null || state.loadingMore || state.phase !== 'done') return;
  const controller = new AbortController();
  running = controller;
  state.loadingMore = true;
  state.moreTrouble = null;
  try {
    const page = await api.search(collection, { cursor }, controller.signal);
    if (running !== controller) return;
    state.hits = [...state.hits, ...page.hits];
    state.nextCursor = page.next_cursor;
  } catch (error) {
    if (running !== controller) return;
    state.moreTrouble = troubleOf(error);
  } finally {
    if (running === controller) {
      running = null;
      state.loadingMore = false;
    }
  }
}

/// Sorting by date is about all good matches, so all have to be here.
async function loadAllAbove(): Promise<void> {
  while (wantsMore.value && route.sort === 'date' && !state.moreTrouble && !state.loadingMore) {
    await loadMore();
  }
}

// ---- following the address

async function follow(): Promise<void> {
  if (route.collection === null) return;
  if (route.like !== null) {
    const id = route.like;
    const known = state.hits.find((h) => h.id === id) ?? wall.images.find((i) => i.id === id);
    const image = known ?? null;
    await run({ kind: 'stored', id, image, name: image?.name ?? '' });
    return;
  }
  if (route.upload !== undefined) {
    const key = route.upload;
    const upload = await findUpload(key);
    if (route.upload !== key) return;
    if (upload) {
      await run({ kind: 'upload', upload, name: upload.name });
      return;
    }
  }
  reset();
}

// ---- pictures to start from

const wall = shallowReactive({ images: [] as readonly Image[], seed: 0, loading: false });
export const startWall = shallowReadonly(wall);
const wallSize = 40;

export async function shuffle(): Promise<void> {
  const collection = route.collection;
  if (collection === null) return;
  wall.loading = true;
  const seed = 1 + Math.floor(Math.random() * 1e9);
  try {
    const page = await api.images(collection, { sort: 'random', seed, limit: wallSize });
    if (route.collection === collection) {
      wall.images = page.images;
      wall.seed = seed;
    }
  } catch (error) {
    // The library's own question meets the same and says so.
    if (!(error instanceof ApiError) && !(error instanceof ConnectionError)) throw error;
  } finally {
    wall.loading = false;
  }
}

export function start(): void {
  watch(() => [route.collection, route.like, route.upload], () => void follow(), {
    immediate: true,
  });
  watch(
    () => [wantsMore.value, route.sort],
    () => void loadAllAbove(),
  );
  // The wall fills while pictures are being indexed, and holds still once it is full.
  watch(
    [() => route.collection, () => current.value?.counts.ready ?? 0],
    ([collection, ready], [before]) => {
      if (collection !== before) wall.images = [];
      if (ready > wall.images.length && wall.images.length < wallSize) void shuffle();
    },
    { immediate: true },
  );
  onBack(() => {
    if (state.phase === 'failed' && state.trouble?.retry) retry();
    if (wall.images.length === 0) void shuffle();
  });
}
