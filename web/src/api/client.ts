import type {
  Collection,
  FailurePage,
  ImagePage,
  Job,
  Problem,
  SearchResponse,
  ServerStatus,
} from './types';

/// The server answered and said no.
export class ApiError extends Error {
  readonly problem: Problem;

  constructor(problem: Problem) {
    super(problem.detail);
    this.problem = problem;
  }
}

/// The server did not answer.
export class ConnectionError extends Error {}

/// What a request came to: no answer, one that asks for a credential, one that let the page in, or one
/// that tells nothing of that.
export type Reached = 'no' | 'locked' | 'open' | 'yes';

/// Told after each request.
export const onReach: { listener: (reached: Reached) => void } = { listener: () => undefined };

const base = '/api/v1';

async function problemOf(response: Response): Promise<Problem> {
  const fallback: Problem = {
    title: response.statusText,
    status: response.status,
    code: 'internal',
    detail: `the server answered ${response.status} ${response.statusText}`.trim(),
    hint: 'try again',
    request_id: response.headers.get('X-Request-Id') ?? '',
  };
  if (!(response.headers.get('Content-Type') ?? '').includes('json')) return fallback;
  try {
    return { ...fallback, ...((await response.json()) as Partial<Problem>) };
  } catch {
    return fallback; // cut off on its way; the status line is all there is
  }
}

async function send(path: string, init: RequestInit = {}): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(path, { credentials: 'same-origin', ...init });
  } catch (error) {
    if (init.signal?.aborted) throw error;
    onReach.listener('no');
    throw new ConnectionError('the server does not answer');
  }
  if (response.status === 401) onReach.listener('locked');
  else onReach.listener(response.ok && path.startsWith(base) ? 'open' : 'yes');
  if (!response.ok) throw new ApiError(await problemOf(response));
  return response;
}

async function json<T>(path: string, init: RequestInit = {}): Promise<T> {
  const response = await send(path, init);
  try {
    return (await response.json()) as T;
  } catch (error) {
    if (init.signal?.aborted) throw error;
    onReach.listener('no');
    throw new ConnectionError('the answer was cut off');
  }
}

function withBody(body: unknown, signal?: AbortSignal): RequestInit {
  return {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify(body),
    ...(signal ? { signal } : {}),
  };
}

function query(values: Record<string, string | number | boolean | undefined>): string {
  const params = new URLSearchParams();
  for (const [key, value] of Object.entries(values)) {
    if (value !== undefined) params.set(key, String(value));
  }
  const text = params.toString();
  return text ? `?${text}` : '';
}

const of = (collection: string) => `${base}/collections/${encodeURIComponent(collection)}`;

export const api = {
  health: () => send('/healthz'),

  signIn: (credential: string) => send(`${base}/session`, withBody({ credential })),

  server: async () => (await json<{ server: ServerStatus | null }>(`${base}/status`)).server,

  collections: async () =>
    (await json<{ collections: Collection[] }>(`${base}/collections`)).collections,

  images: (
    collection: string,
    options: { sort?: string; seed?: number; limit?: number; cursor?: string },
    signal?: AbortSignal,
  ) => json<ImagePage>(`${of(collection)}/images${query(options)}`, signal ? { signal } : {}),

  searchPicture: (
    collection: string,
    picture: Blob,
    options: { k: number; min_score?: number; name?: string },
    signal: AbortSignal,
  ) =>
    json<SearchResponse>(`${of(collection)}/search${query(options)}`, {
      method: 'POST',
      headers: { 'Content-Type': picture.type || 'application/octet-stream' },
      body: picture,
      signal,
    }),

  search: (
    collection: string,
    body:
      | { image_id: string; k: number; min_score?: number; exclude_self?: boolean }
      | { cursor: string },
    signal: AbortSignal,
  ) => json<SearchResponse>(`${of(collection)}/search`, withBody(body, signal)),

  jobs: async (collection: string) =>
    (await json<{ jobs: Job[] }>(`${base}/jobs${query({ collection, limit: 10 })}`)).jobs,

  changeJob: (id: string, change: 'pause' | 'resume' | 'cancel') =>
    json<Job>(`${base}/jobs/${id}/${change}`, { method: 'POST' }),

  failures: (id: string, cursor?: string) =>
    json<FailurePage>(
      `${base}/jobs/${id}/failures${query({ limit: 50, ...(cursor ? { cursor } : {}) })}`,
    ),

  retryFailures: (id: string) =>
    json<Job>(`${base}/jobs/${id}/failures/retry`, { method: 'POST' }),

  jobEvents: (id: string) => new EventSource(`${base}/jobs/${id}/events`),
};
