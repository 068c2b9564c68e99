import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium, type BrowserContext, type Page } from 'playwright-core';
import { afterAll, beforeAll, expect } from 'vitest';
import { createMock, type Mock } from '../../mock/server.mjs';

/// A page over a mock of its own, in the system's Chromium.

export const sizes = {
  desktop: { width: 1440, height: 900 },
  phone: { width: 390, height: 844 },
} as const;
export type Size = keyof typeof sizes;
export type Scheme = 'light' | 'dark';

export interface World {
  page: Page;
  mock: Mock;
  /// What the page complained about: errors, policy violations, requests that left the origin.
  complaints: string[];
  close(): Promise<void>;
}

const executablePath = process.env['CHROMIUM'] ?? '/usr/bin/chromium';
const contexts = new Map<string, BrowserContext>();
let profiles: string[] = [];

async function contextOf(size: Size, scheme: Scheme): Promise<BrowserContext> {
  const key = `${size} ${scheme}`;
  const open = contexts.get(key);
  if (open) return open;
  if (!existsSync(executablePath)) {
    throw new Error(`no browser at ${executablePath}: install chromium, or name one in CHROMIUM`);
  }
  const profile = await mkdtemp(join(tmpdir(), 'similis-browser-'));
  profiles.push(profile);
  const context = await chromium.launchPersistentContext(profile, {
    executablePath,
    headless: true,
    args: [
      '--headless',
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
    viewport: sizes[size],
    colorScheme: scheme,
    isMobile: size === 'phone',
    hasTouch: size === 'phone',
    permissions: ['clipboard-read', 'clipboard-write'],
  });
  contexts.set(key, context);
  return context;
}

export function useBrowser(): void {
  beforeAll(() => {
    const dist = new URL('../../dist/index.html', import.meta.url);
    if (!existsSync(dist)) throw new Error('nothing built: npm run build');
  });
  afterAll(async () => {
    for (const context of contexts.values()) await context.close();
    contexts.clear();
    for (const profile of profiles) await rm(profile, { recursive: true, force: true });
    profiles = [];
  });
}

export interface Setup {
  size?: Size;
  scheme?: Scheme;
  path?: string;
  count?: number;
  before?: (mock: Mock) => void;
  /// Statuses that the page is meant to meet; the browser logs each as an error.
  expectStatus?: number[];
}

/// A new page that gathers its complaints; it may ask `origin` only.
export async function openPage(
  size: Size,
  scheme: Scheme,
  origin: string,
  expectStatus: number[],
): Promise<{ page: Page; complaints: string[] }> {
  const context = await contextOf(size, scheme);
  const page = await context.newPage();
  const complaints: string[] = [];
  const expected = expectStatus.map((s) => `status of ${s}`);
  page.on('console', (message) => {
    if (message.type() !== 'error' && message.type() !== 'warning') return;
    if (expected.some((e) => message.text().includes(e))) return;
    complaints.push(message.text());
  });
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('request', (request) => {
    const url = request.url();
    if (!url.startsWith(origin) && !url.startsWith('blob:')) complaints.push(`left for ${url}`);
  });
  return { page, complaints };
}

export async function visit(setup: Setup = {}): Promise<World> {
  const mock = await createMock({ count: setup.count ?? 64 }).listen();
  setup.before?.(mock);
  const { page, complaints } = await openPage(
    setup.size ?? 'desktop',
    setup.scheme ?? 'light',
    mock.url,
    setup.expectStatus ?? [],
  );
  await page.goto(mock.url + (setup.path ?? '/'));
  return {
    page,
    mock,
    complaints,
    async close() {
      await page.close();
      await mock.close();
    },
  };
}

/// Runs `body` in a fresh page, and expects that the page had nothing to complain about.
export async function inPage(setup: Setup, body: (world: World) => Promise<void>): Promise<void> {
  const world = await visit(setup);
  try {
    await body(world);
    expect(world.complaints).toEqual([]);
  } finally {
    await world.close();
  }
}

export function pictureOf(mock: Mock, index: number): Buffer {
  const picture = mock.collections.get('pictures')?.[index];
  if (!picture) throw new Error(`the mock has no picture ${index}`);
  return picture.read();
}

/// Chooses a file by the page's own input.
export async function choose(page: Page, name: string, bytes: Buffer, type = 'image/png'): Promise<void> {
  await page.locator('input[type=file]').setInputFiles({ name, mimeType: type, buffer: bytes });
}

export async function results(page: Page): Promise<void> {
  await page.locator('.results:not(.old) .tile').first().waitFor();
}

/// Files dragged over, dropped on or pasted into the page. A drag goes on until the page is left.
export async function drag(
  page: Page,
  event: 'dragover' | 'drop' | 'paste',
  files: { name: string; type: string; bytes?: Buffer }[],
): Promise<void> {
  const plain = files.map((f) => ({ name: f.name, type: f.type, data: f.bytes?.toString('base64') ?? '' }));
  await page.evaluate(
    ([kind, list]) => {
      const transfer = new DataTransfer();
      for (const f of list) {
        const bytes = Uint8Array.from(atob(f.data), (c) => c.charCodeAt(0));
        transfer.items.add(new File([bytes], f.name, { type: f.type }));
      }
      const init = { bubbles: true, cancelable: true };
      const send = () =>
        document.body.dispatchEvent(
          kind === 'paste'
            ? new ClipboardEvent(kind, { ...init, clipboardData: transfer })
            : new DragEvent(kind, { ...init, dataTransfer: transfer }),
        );
      send();
      if (kind === 'dragover') setInterval(send, 100);
    },
    [event, plain] as const,
  );
}

const axeSource = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

export interface Finding {
  id: string;
  help: string;
  nodes: string[];
}

/// What axe finds wrong with the page as it is.
export async function axe(page: Page): Promise<Finding[]> {
  await page.evaluate(axeSource);
  return page.evaluate(async () => {
    interface Axe {
      run(): Promise<{ violations: { id: string; help: string; nodes: { html: string }[] }[] }>;
    }
    const { violations } = await (window as unknown as { axe: Axe }).axe.run();
    return violations.map((v) => ({ id: v.id, help: v.help, nodes: v.nodes.map((n) => n.html) }));
  });
}
