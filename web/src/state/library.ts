import { computed, shallowReactive, shallowReadonly, watch } from 'vue';
import { api, ApiError, ConnectionError } from '../api/client';
import type { Collection, Failure, Job } from '../api/types';
import { connection, doubt, onBack } from './connection';
import { go, route } from './router';

/// Collections, the current one's latest job, and following both. While a job runs its events are
/// followed; otherwise a quiet question every few seconds notices what another program began.

const state = shallowReactive({
  loaded: false,
  error: null as ApiError | null,
  collections: [] as Collection[],
  job: null as Job | null,
  upToDate: false, // for a moment after a job has ended
  jobError: '',
});
export const library = shallowReadonly(state);

const pollMs = 5000;
const pollWhileFillingMs = 2000;
const pollWhileLockedMs = 15_000; // the way in comes from another tab; coming back here asks at once
const upToDateMs = 4000;

let timer: number | undefined;
let upToDateTimer: number | undefined;
let events: EventSource | null = null;
let followed = '';

export const current = computed(() => state.collections.find((c) => c.name === route.collection));
export const isActive = (job: Job) =>
  job.state === 'queued' || job.state === 'running' || job.state === 'paused';
export const activeJob = computed(() => (state.job && isActive(state.job) ? state.job : null));
/// The active job has caught up and waits for changes; it shows itself again when they come.
export const watching = computed(() => activeJob.value !== null && caughtUp(activeJob.value));
export const busyJob = computed(() => (watching.value ? null : activeJob.value));
/// The address names a collection that is not there.
export const unknownCollection = computed(
  () => state.loaded && route.collection !== null && !current.value && state.collections.length > 0,
);

export async function refresh(): Promise<void> {
  try {
    state.collections = await api.collections();
    state.error = null;
    state.loaded = true;
    chooseCollection();
    await refreshJob();
  } catch (error) {
    if (error instanceof ConnectionError) return; // the banner says it
    if (!(error instanceof ApiError)) throw error;
    if (error.problem.status === 401) return; // connection.locked tells
    state.loaded = true;
    state.error = error;
  }
}

function chooseCollection(): void {
  if (route.collection !== null) return;
  const first = state.collections.find((c) => c.name === 'pictures') ?? state.collections[0];
  if (first) go({ collection: first.name }, { replace: true });
}

async function refreshJob(): Promise<void> {
  const name = current.value?.name;
  if (name === undefined) {
    state.job = null;
    return;
  }
  const jobs = await api.jobs(name);
  if (current.value?.name !== name) return; // another collection was chosen meanwhile
  const builds = jobs.filter((j) => j.kind === 'build' || j.kind === 'import');
  takeJob(builds.find(isActive) ?? builds[0] ?? null);
}

/// Nothing is left to do: the job has ended well, or it only watches now.
export function caughtUp(job: Job): boolean {
  if (job.state === 'done') return true;
  const { found, done, scanning, optimizing } = job.counters;
  const quiet = !scanning && !optimizing;
  return job.state === 'running' && job.options.watch && quiet && done >= found;
}

function moved(before: Job, job: Job): boolean {
  const keys = Object.keys(job.counters) as (keyof Job['counters'])[];
  return keys.some((key) => job.counters[key] !== before.counters[key]);
}

function sayUpToDate(): void {
  state.upToDate = true;
  window.clearTimeout(upToDateTimer);
  upToDateTimer = window.setTimeout(() => (state.upToDate = false), upToDateMs);
}

function takeJob(job: Job | null): void {
  const before = state.job;
  const same = before !== null && job !== null && before.id === job.id;
  if (same && job.version < before.version) return; // late news
  state.job = job;
  if (!job || !caughtUp(job)) {
    state.upToDate = false;
  } else if (same && isActive(before) && (!caughtUp(before) || moved(before, job))) {
    sayUpToDate();
    void refresh();
  }
  if (job && isActive(job)) {
    follow(job.id);
  } else {
    unfollow();
  }
}

function follow(id: string): void {
  if (followed === id && events && events.readyState !== EventSource.CLOSED) return;
  unfollow();
  followed = id;
  const source = api.jobEvents(id);
  events = source;
  source.addEventListener('job', (event) => {
    takeJob(JSON.parse((event as MessageEvent<string>).data) as Job);
  });
  source.addEventListener('error', () => {
    if (events !== source) return;
    // The stream ends with its job; anything else is a server that went away. Where it did not, the
    // next question follows the job again.
    if (state.job && isActive(state.job)) {
      unfollow();
      doubt();
    }
  });
}

function unfollow(): void {
  events?.close();
  events = null;
  followed = '';
}

function schedule(): void {
  window.clearTimeout(timer);
  const filling = activeJob.value !== null || (current.value?.counts.ready ?? 0) === 0;
  timer = window.setTimeout(
    () => {
      const quiet = document.hidden || connection.lost;
      void (quiet ? Promise.resolve() : refresh()).finally(schedule);
    },
    connection.locked ? pollWhileLockedMs : filling ? pollWhileFillingMs : pollMs,
  );
}

export async function changeJob(change: 'pause' | 'resume' | 'cancel'): Promise<void> {
  const job = state.job;
  if (!job) return;
  state.jobError = '';
  try {
    takeJob(await api.changeJob(job.id, change));
  } catch (error) {
    state.jobError = message(error);
  }
}

export async function retryFailures(): Promise<void> {
  const job = state.job;
  if (!job) return;
  state.jobError = '';
  try {
    takeJob(await api.retryFailures(job.id));
  } catch (error) {
    state.jobError = message(error);
  }
}

export async function failures(
  cursor?: string,
): Promise<{ failures: readonly Failure[]; next: string | null }> {
  const job = state.job;
  if (!job) return { failures: [], next: null };
  const page = await api.failures(job.id, cursor);
  return { failures: page.failures, next: page.next_cursor };
}

export function message(error: unknown): string {
  if (error instanceof ApiError) {
    const { detail, hint } = error.problem;
    return hint ? `${detail}: ${hint}` : detail;
  }
  return error instanceof Error ? error.message : String(error);
}

export async function signIn(credential: string): Promise<void> {
  await api.signIn(credential); // all that waits for it hears of it through onBack
}

export function start(): void {
  onBack(() => void refresh());
  watch(
    () => route.collection,
    () => {
      state.job = null;
      state.upToDate = false;
      unfollow();
      if (state.loaded) void refresh();
    },
  );
  document.addEventListener('visibilitychange', () => {
    if (!document.hidden) void refresh();
  });
  void refresh().finally(schedule);
}
