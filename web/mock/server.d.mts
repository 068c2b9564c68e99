import type { Failure, IndexError, Job } from '../src/api/types';

export interface MockPicture {
  id: string;
  name: string;
  folder: string;
  read(): Buffer;
}

export interface Mock {
  collections: Map<string, MockPicture[]>;
  failed: Map<string, number>;
  job: Job | null;
  failures: Failure[];
  searchDelayMs: number;
  indexError: IndexError | null;
  searchProblem: [number, string, string, string?] | null;
  key: string | null;
  command: string | null;
  requests: string[];
  url: string;
  setJob(job: Job | null): void;
  listen(port?: number): Promise<Mock>;
  close(): Promise<void>;
}

export const securityHeaders: Record<string, string>;
export const failures: Failure[];
export function createMock(options?: { folder?: string | null; count?: number; page?: string }): Mock;
export function job(over?: Omit<Partial<Job>, 'counters'> & { counters?: Partial<Job['counters']> }): Job;
