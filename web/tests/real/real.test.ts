import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { drawPicture, seeded } from '../../mock/png.mjs';
import { axe, choose, openPage, results, useBrowser } from '../browser/harness';

// The page over the real server: pictures are drawn, indexed by the command line, and searched in the
// browser. SIMILIS names the binary; the page it serves is the one beside it.

const binary = process.env['SIMILIS'] ?? '';
const home = mkdtempSync(join(tmpdir(), 'similis-real-'));
const data = join(home, 'data');
const pictures = join(home, 'pictures');
// No settings but those of this test.
const env = { ...process.env, XDG_CONFIG_HOME: home, SIMILIS_COMMAND: './launcher' };
let server: ChildProcess | null = null;
let address = '';

function draw(folder: string, first: number, count: number): void {
  mkdirSync(folder, { recursive: true });
  for (let i = first; i < first + count; i++) {
    writeFileSync(join(folder, `IMG_${1000 + i}.png`), drawPicture(256, 192, i % 8, seeded(i)));
  }
}

function similis(...args: string[]): string {
  const options = { encoding: 'utf8', env, timeout: 90_000, killSignal: 'SIGKILL' } as const;
  const run = spawnSync(binary, [...args, '--data-dir', data], options);
  expect(run.status, run.stderr).toBe(0);
  return run.stdout;
}

/// Port 0: whichever is free. However this process ends, the server ends with it.
async function serve(port = '0'): Promise<void> {
  const command = [binary, 'serve', '--listen', `127.0.0.1:${port}`, '--data-dir', data];
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', '--', ...command], { env });
  server = child;
  address = await new Promise<string>((done, fail) => {
    let text = '';
    child.stdout.on('data', (chunk: Buffer) => {
      text += chunk.toString();
      const found = /http:\/\/\S+\?token=\S+/.exec(text)?.[0];
      if (found) done(found);
    });
    child.stderr.on('data', (chunk: Buffer) => (text += chunk.toString()));
    child.on('error', fail);
    child.on('exit', () => fail(new Error(`the server ended: ${text}`)));
  });
}

function childrenOf(pid: number): string[] {
  return readdirSync(`/proc/${pid}/task`).flatMap((thread) => {
    try {
      const ids = readFileSync(`/proc/${pid}/task/${thread}/children`, 'utf8');
      return ids.split(' ').filter((id) => id !== '');
    } catch (error) {
      if (['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '')) return []; // it ended
      throw error;
    }
  });
}

async function stop(): Promise<void> {
  const child = server;
  server = null;
  if (!child?.pid || child.exitCode !== null || child.signalCode !== null) return;
  const workers = childrenOf(child.pid);
  const ended = new Promise((done) => child.on('exit', done));
  child.kill('SIGINT');
  const late = setTimeout(() => child.kill('SIGKILL'), 20_000);
  await ended;
  clearTimeout(late);
  expect(child.signalCode, 'the server ends by itself').toBe(null);
  expect(child.exitCode).toBe(0);
  expect(workers.filter((id) => existsSync(`/proc/${id}`)), 'and so do its workers').toEqual([]);
}

beforeAll(async () => {
  if (!existsSync(binary)) {
    throw new Error(`SIMILIS names no binary (“${binary}”): SIMILIS=../build/release/similis npm run test:real`);
  }
  draw(join(pictures, 'hills'), 0, 24);
  const whole = drawPicture(256, 192, 0, seeded(1));
  writeFileSync(join(pictures, 'broken.png'), whole.subarray(0, whole.length / 2));
  similis('index', pictures);
  await serve();
});

afterAll(async () => {
  try {
    await stop();
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
});

useBrowser(); // after these: its own clearing-up then comes first, whatever becomes of theirs

async function visit(body: (page: Page) => Promise<void>): Promise<void> {
  const { page, complaints } = await openPage('desktop', 'light', new URL(address).origin, []);
  try {
    await page.goto(address);
    await body(page);
    expect(complaints).toEqual([]);
  } finally {
    await page.close();
  }
}

describe('the page over the server', () => {
  it('opens by the printed address, and keeps no token in it', () =>
    visit(async (page) => {
      await page.locator('.wall .tile-open.loaded').first().waitFor();
      expect(new URL(page.url()).pathname).toBe('/c/pictures');
      expect(page.url()).not.toContain('token');
      expect(await page.locator('.collections-button').textContent()).toContain('24');
    }));

  it('finds an uploaded picture first, and others like it', () =>
    visit(async (page) => {
      await page.locator('.wall .tile').first().waitFor();
      await choose(page, 'mine.png', drawPicture(256, 192, 3, seeded(3)));
      await results(page);
      const first = page.locator('.tile-open').first();
      expect(await first.getAttribute('aria-label')).toContain('IMG_1003.png');
      expect(await page.locator('.score').first().textContent()).toContain('1.00');
      await page.locator('.tile-open.loaded').first().waitFor();
      expect(await axe(page)).toEqual([]);

      await first.click();
      await page.locator('.detail').getByRole('button', { name: 'More like this' }).click();
      await page.waitForURL(/\/c\/pictures\/like\/\d+$/);
      await results(page);
      expect(await page.locator('.strip-name').textContent()).toBe('IMG_1003.png');
      const shown = await page.locator('.tile-open').evaluateAll((b) => b.map((e) => e.getAttribute('aria-label') ?? ''));
      expect(shown.some((s) => s.includes('IMG_1003.png'))).toBe(false);

      await page.goBack();
      await page.goBack();
      await results(page);
      expect(await page.locator('.strip-name').textContent()).toBe('mine.png');
    }));

  it('shows what failed, with its reason', () =>
    visit(async (page) => {
      await page.locator('.wall .tile').first().waitFor();
      await page.locator('.collections-button').click();
      await page.getByRole('button', { name: '1 file could not be read' }).click();
      await page.getByText('broken.png').waitFor();
    }));

  it('follows what another program indexes', () =>
    visit(async (page) => {
      await page.locator('.wall .tile').first().waitFor();
      draw(join(pictures, 'more'), 100, 8);
      similis('index', pictures);
      await expect
        .poll(() => page.locator('.collections-button').textContent(), { timeout: 20_000 })
        .toContain('32');
    }));

  it('tells how the program is called, for lines to copy', () =>
    visit(async (page) => {
      const status = (await page.evaluate(async () => (await fetch('/api/v1/status')).json())) as {
        server: { command: string };
      };
      expect(status.server.command).toBe('./launcher');
    }));

  it('serves the API page', () =>
    visit(async (page) => {
      await page.goto(`${new URL(address).origin}/docs`);
      await page.locator('#operations-search-search').waitFor();
    }));

  it('keeps its pictures while the server is away, and until it may go on with one started anew', async () => {
    const { origin, port } = new URL(address);
    const { page } = await openPage('desktop', 'light', origin, []);
    try {
      await page.goto(address);
      await page.locator('.wall .tile-open.loaded').first().waitFor();
      const tiles = await page.locator('.wall .tile').count();
      expect(tiles).toBeGreaterThan(20);
      expect(childrenOf(server?.pid ?? 0), 'decode workers').not.toEqual([]);
      await stop();
      await page.getByText('Connection lost').waitFor();
      expect(await page.locator('.wall .tile').count()).toBe(tiles);

      await serve(port);
      await page.getByText('The server was started anew: open the address it printed.').waitFor();
      expect(await page.locator('.wall .tile').count()).toBe(tiles);
      await visit((other) => other.locator('.wall .tile').first().waitFor());
      await page.locator('.lost').waitFor({ state: 'detached' });
      await choose(page, 'mine.png', drawPicture(256, 192, 3, seeded(3)));
      await results(page);
    } finally {
      await page.close();
    }
  });
});
