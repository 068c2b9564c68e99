// The shapes of docs/openapi.yaml that the page uses.

export interface Class {
  name: string;
  probability: number;
}

export interface Band {
  word: string;
  min_score: number;
}

export interface Calibration {
  cutoff: number;
  bar_from: number;
  bands: readonly Band[];
}

export interface Collection {
  name: string;
  created_at: string;
  counts: { ready: number; failed: number; pending: number };
  epoch: number;
  /// Null before the first picture.
  model: { name: string; version: string; dimensions: number; calibration: Calibration } | null;
  /// Why nothing can be searched; null when all is well.
  index_error: IndexError | null;
}

export interface IndexError {
  code: string;
  detail: string;
  hint: string;
}

export interface Image {
  id: string;
  name: string;
  path?: string;
  folder: string | null;
  date: string | null;
  width: number;
  height: number;
  bytes: number;
  format: string;
  class: Class | null;
  tags: readonly string[];
  thumbnail_url: string;
  preview_url: string;
  file_url: string;
}

export interface Hit extends Image {
  score: number;
  band: string;
  above_cutoff: boolean;
}

export interface ServerStatus {
  /// How the program is called where it runs; not for everybody.
  command?: string;
}

export interface ImagePage {
  images: readonly Image[];
  next_cursor: string | null;
}

export interface Histogram {
  from: number;
  to: number;
  counts: readonly number[];
}

export interface SearchResponse {
  query: { name?: string; width?: number; height?: number; image?: Image };
  classes: readonly Class[];
  hits: readonly Hit[];
  cutoff: number;
  above_cutoff_count: number;
  candidates: number;
  total: number;
  histogram: Histogram;
  timings_ms: Record<string, number>;
  stats: { reads: number; bytes_read: number; cache: string; exact: boolean };
  next_cursor: string | null;
  epoch: number;
}

export type JobState = 'queued' | 'running' | 'paused' | 'cancelled' | 'failed' | 'done';

export interface Job {
  id: string;
  kind: 'build' | 'verify' | 'import' | 'export' | 'export_tables';
  collection: string | null;
  state: JobState;
  root: string | null;
  options: { hidden: boolean; retry_failed: boolean; watch: boolean };
  counters: {
    found: number;
    done: number;
    ready: number;
    failed: number;
    skipped: number;
    unchanged: number;
    removed: number;
    moved: number;
    scanning: boolean;
    optimizing: boolean;
  };
  rate_per_s: number | null;
  eta_s: number | null;
  version: number;
  created_at: string;
  started_at: string | null;
  finished_at: string | null;
  error: { code: string; detail: string; hint: string } | null;
}

export interface Failure {
  id: string | null;
  name: string;
  folder: string;
  path?: string;
  code: string;
  reason: string;
  hint: string;
  attempts: number;
}

export interface FailurePage {
  failures: readonly Failure[];
  next_cursor: string | null;
}

export interface Problem {
  title: string;
  status: number;
  code: string;
  detail: string;
  hint: string;
  request_id: string;
}
