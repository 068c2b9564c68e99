import type { Page } from 'playwright-core';
import { describe, expect, it } from 'vitest';
import { failures, job, type Mock } from '../../mock/server.mjs';
import { inPage, pictureOf, results, useBrowser } from './harness';

useBrowser();

const focusedTile = (page: Page) =>
  page.evaluate(() => Number(document.activeElement?.getAttribute('data-tile') ?? -1));
const detailName = (page: Page) => page.locator('.detail-name').textContent();

describe('the keyboard', () => {
  it('moves by geometry, opens, moves on, and comes back', () =>
    inPage({ path: '/c/pictures/like/412' }, async ({ page }) => {
      await results(page);
      await page.keyboard.press('ArrowDown');
      expect(await focusedTile(page)).toBe(0);
      await page.keyboard.press('ArrowRight');
      expect(await focusedTile(page)).toBe(1);
      const box = (i: number) => page.locator(`[data-tile="${i}"]`).boundingBox();
      const above = await box(1);
      await page.keyboard.press('ArrowDown');
      const below = await box(await focusedTile(page));
      expect(below?.y).toBeGreaterThan(above?.y ?? 0);
      await page.keyboard.press('ArrowUp');
      await page.keyboard.press('Enter');
      await page.locator('.detail').waitFor();
      const first = await detailName(page);
      await page.keyboard.press('ArrowRight');
      await expect.poll(() => detailName(page)).not.toBe(first);
      await page.keyboard.press('ArrowLeft');
      await expect.poll(() => detailName(page)).toBe(first);
      await page.keyboard.press('ArrowRight');
      await page.keyboard.press('Escape');
      await page.locator('.detail').waitFor({ state: 'detached' });
      await expect.poll(() => focusedTile(page)).toBeGreaterThan(-1);
      await page.keyboard.press('Escape');
      await page.locator('.wall .tile').first().waitFor();
    }));

  it('has keys for alike, shuffle, cut-off, choosing and help', () =>
    inPage({}, async ({ page }) => {
      // Asked for early: the browser takes a moment to hand its file dialog to the test.
      const chosen = page.waitForEvent('filechooser');
      await page.locator('.wall .tile').first().waitFor();
      const names = () => page.locator('.wall .tile-open').evaluateAll((b) => b.map((e) => e.getAttribute('aria-label')).join());
      const before = await names();
      await page.keyboard.press('r');
      await expect.poll(names).not.toBe(before);

      await page.keyboard.press('/');
      expect((await chosen).isMultiple()).toBe(false);

      await page.keyboard.press('ArrowRight');
      await page.keyboard.press('s');
      await results(page);
      await page.keyboard.press(']');
      await page.keyboard.press(']');
      await page.keyboard.press('[');
      expect(new URL(page.url()).searchParams.get('min')).toBe('0.61');

      await page.keyboard.press('?');
      await page.getByRole('heading', { name: 'Keys' }).waitFor();
      await page.keyboard.press('Escape');
      await page.getByRole('heading', { name: 'Keys' }).waitFor({ state: 'detached' });
      expect(page.url()).toContain('/like/');
    }));

  it('is off inside fields', () =>
    inPage({ path: '/c/pictures/like/412' }, async ({ page }) => {
      await results(page);
      await page.locator('#cutoff-field').focus();
      await page.keyboard.type('?[s');
      expect(await page.locator('.keys-list').count()).toBe(0);
      expect(page.url()).toContain('/like/412');
      expect(page.url()).not.toContain('min=');
    }));
});

describe('the detail', () => {
  it('shows both pictures and the facts, and leads on', () =>
    inPage({ path: '/c/pictures/like/412' }, async ({ page, mock }) => {
      await results(page);
      await page.locator('.tile-open').nth(1).click();
      await page.locator('.detail').waitFor();
      await expect
        .poll(() =>
          page.locator('.detail-picture img').evaluateAll((images) => images.map((i) => (i as HTMLImageElement).naturalWidth > 0)),
        )
        .toEqual([true, true]);
      const text = await page.locator('.detail').innerText();
      expect(text).toMatch(/0\.\d\d/);
      expect(text).toMatch(/strong|likely/);
      expect(text).toMatch(/Folder\s+Holidays\/\d{4}/);
      expect(text).toMatch(/Size\s+\d+ × \d+ · [\d.]+ .?B · PNG/);

      await page.getByRole('button', { name: 'Copy path' }).click();
      await page.getByRole('button', { name: 'Copied' }).waitFor();
      const id = /images\/(\d+)/.exec((await page.getByRole('link', { name: 'Open file' }).getAttribute('href')) ?? '')?.[1];
      const picture = mock.collections.get('pictures')?.find((p) => p.id === id);
      expect(await page.evaluate(() => navigator.clipboard.readText())).toBe(`/srv/pictures/${picture?.folder}/${picture?.name}`);

      await page.locator('.detail').getByRole('button', { name: 'More like this' }).click();
      await page.waitForURL(`**/like/${id}`);
      await page.goBack();
      await page.locator('.detail').waitFor();
    }));

  it('keeps the cut-off and the order set beside it, closed and opened again', () =>
    inPage({ path: '/c/pictures/like/412?min=0.20' }, async ({ page }) => {
      await results(page);
      const address = () => new URL(page.url()).search;
      await page.locator('.tile-open').first().click();
      await page.locator('.detail').waitFor();
      for (let i = 0; i < 5; i++) await page.keyboard.press(']');
      await page.locator('.sort').getByText('Date').click();
      await page.locator('.detail').getByRole('button', { name: 'Close' }).click();
      await page.locator('.detail').waitFor({ state: 'detached' });
      await expect.poll(address).toBe('?min=0.25&sort=date');

      await page.keyboard.press(']');
      await page.goForward();
      await page.locator('.detail').waitFor();
      expect(address()).toBe('?min=0.26&sort=date');
      await page.keyboard.press('[');
      await page.goBack();
      await page.locator('.detail').waitFor({ state: 'detached' });
      expect(address()).toBe('?min=0.25&sort=date');
      expect(await page.locator('#cutoff-field').inputValue()).toBe('0.25');
    }));

  it('leaves room for the grid beside it', () =>
    inPage({ path: '/c/pictures/like/412' }, async ({ page }) => {
      await results(page);
      await page.locator('.tile-open').nth(1).click();
      await page.locator('.detail').waitFor();
      await expect
        .poll(() => page.locator('.grid').boundingBox().then((b) => (b?.x ?? 0) + (b?.width ?? 0)))
        .toBeLessThanOrEqual(960);
    }));

  it('Ctrl-click searches instead', () =>
    inPage({ path: '/c/pictures/like/412' }, async ({ page }) => {
      await results(page);
      await page.locator('.tile-open').nth(1).click({ modifiers: ['Control'] });
      await page.waitForURL((url) => /like\/(?!412)\d+/.test(url.pathname));
      expect(await page.locator('.detail').count()).toBe(0);
    }));
});

function empty(mock: Mock, command: string | null): void {
  mock.collections.clear();
  mock.command = command;
}

describe('indexing', () => {
  it('is followed to its end', () =>
    inPage({ before: (mock) => (mock.job = job()) }, async ({ page, mock }) => {
      await page.getByText('Indexing 5,380 of 8,677 · 15 s left').waitFor();
      mock.setJob(job({ version: 44, eta_s: 9, counters: { done: 6700 } }));
      await page.getByText('Indexing 6,700 of 8,677 · 9 s left').waitFor();
      mock.setJob(job({ version: 45, eta_s: null, counters: { done: 8677, optimizing: true } }));
      await page.locator('.pill').getByText('8,677 in, making search quick').waitFor();
      expect(await page.getByText('Up to date').count()).toBe(0);
      await page.locator('.pill').click();
      await page.locator('.job-line').getByText('8,677 of 8,677 · making search quick').waitFor();
      await page.getByRole('button', { name: 'Close' }).click();
      mock.setJob(job({ version: 46, state: 'done', eta_s: null, counters: { done: 8677 } }));
      await page.getByText('Up to date').waitFor();
      await page.getByText('Up to date').waitFor({ state: 'detached', timeout: 8000 });
    }));

  it('that goes on watching shows itself while there is something to do', () => {
    const watched = (version: number, done: number, found: number) =>
      job({
        version,
        eta_s: null,
        options: { hidden: false, retry_failed: false, watch: true },
        counters: { done, found },
      });
    return inPage({ before: (mock) => (mock.job = watched(1, 10, 10)) }, async ({ page, mock }) => {
      await page.locator('.wall .tile').first().waitFor();
      await expect.poll(() => mock.requests.filter((r) => r.endsWith('/events')).length).toBeGreaterThan(0);
      const pill = page.locator('.pill');
      const upToDateThenAway = async () => {
        await pill.getByText('Up to date').waitFor();
        await pill.waitFor({ state: 'detached', timeout: 8000 });
      };
      expect(await pill.count()).toBe(0); // it had nothing to do when the page came
      mock.setJob(watched(2, 10, 12));
      await pill.getByText('Indexing 10 of 12').waitFor();
      mock.setJob(watched(3, 12, 12));
      await upToDateThenAway();
      mock.setJob(watched(4, 13, 13)); // too quick to be seen at work
      await upToDateThenAway();
      mock.setJob(watched(5, 13, 13)); // news without any
      await page.waitForTimeout(500);
      expect(await pill.count()).toBe(0);

      await page.locator('.collections-button').click();
      await page.getByRole('button', { name: 'Watching for changes' }).click();
      await page.getByRole('heading', { name: 'Watching for changes' }).waitFor();
      await page.getByRole('button', { name: 'Cancel' }).click();
      await expect.poll(() => mock.job?.state).toBe('cancelled');
    });
  });

  it('is paused, resumed and cancelled', () =>
    inPage({ before: (mock) => (mock.job = job()) }, async ({ page, mock }) => {
      await page.locator('.pill').click();
      await page.getByRole('button', { name: 'Pause' }).click();
      await page.getByText('Paused at 5,380 of 8,677').waitFor();
      await page.getByRole('button', { name: 'Go on' }).click();
      await page.getByText('Indexing 5,380 of 8,677').waitFor();
      await page.getByRole('button', { name: 'Cancel' }).click();
      await page.locator('.pill').waitFor({ state: 'detached' });
      expect(mock.job?.state).toBe('cancelled');
    }));

  it('keeps its failures at hand, and tries them again', () =>
    inPage(
      {
        before(mock) {
          mock.job = job({ state: 'done', eta_s: null, finished_at: '2026-03-02T14:02:00Z', counters: { done: 8677, failed: 103 } });
          mock.failed.set('pictures', 103);
          mock.failures = Array.from({ length: 103 }, (_, i) => ({ ...failures[i % 3], id: String(9000 + i), name: `f${i}.jpg` }) as (typeof failures)[0]);
        },
      },
      async ({ page, mock }) => {
        await page.locator('.wall .tile').first().waitFor();
        expect(await page.locator('.pill').count()).toBe(0);
        await page.locator('.collections-button').click();
        await page.getByRole('button', { name: '103 files could not be read' }).click();
        await page.getByText('f0.jpg').waitFor();
        const count = () => page.locator('.job-name').count();
        expect(await count()).toBe(50);
        await page.getByRole('button', { name: 'Show more' }).click();
        await expect.poll(count).toBe(100);
        await page.getByRole('button', { name: 'Show more' }).click();
        await expect.poll(count).toBe(103);
        await page.getByRole('button', { name: 'Try again' }).click();
        await expect.poll(() => mock.job?.id).toBe('18');
        await page.locator('.pill').getByText('Waiting to index').waitFor();
      },
    ));

  it('begins by a command that names the program as far as it is known', () =>
    inPage({ before: (mock) => empty(mock, null) }, async ({ page, mock }) => {
      await expect.poll(() => mock.requests.includes('GET /api/v1/status')).toBe(true);
      expect(await page.locator('.none code').textContent()).toBe('similis index ~/Pictures');
    }));

  it('names the program in the way back in, once it is known', () =>
    inPage({ expectStatus: [401], before: (mock) => empty(mock, './similis') }, async ({ page, mock }) => {
      await page.getByText('./similis index ~/Pictures').waitFor();
      mock.key = 'sim_another';
      await page.getByText('./similis serve').waitFor();
    }));

  it('fills an empty page by itself', () =>
    inPage({ before: (mock) => empty(mock, './similis') }, async ({ page, mock }) => {
      await page.getByText('./similis index ~/Pictures').waitFor();
      await page.getByRole('button', { name: 'Copy the command' }).click();
      expect(await page.evaluate(() => navigator.clipboard.readText())).toBe('./similis index ~/Pictures');
      const { createMock } = await import('../../mock/server.mjs');
      const other = createMock({ count: 12 }).collections.get('pictures') ?? [];
      mock.collections.set('pictures', other);
      await page.locator('.wall .tile').nth(11).waitFor();
      expect(new URL(page.url()).pathname).toBe('/c/pictures');
    }));
});

describe('the theme', () => {
  it('follows the system until another is chosen, and remembers that', () =>
    inPage({}, async ({ page }) => {
      await page.locator('.wall .tile').first().waitFor();
      const ground = () => page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
      expect(await ground()).toBe('rgb(251, 251, 250)');
      await page.getByRole('button', { name: 'Dark theme' }).click();
      expect(await ground()).toBe('rgb(18, 19, 20)');
      await page.reload();
      expect(await ground()).toBe('rgb(18, 19, 20)');
      await page.getByRole('button', { name: 'Light theme' }).click();
      await page.emulateMedia({ colorScheme: 'dark' });
      expect(await ground()).toBe('rgb(18, 19, 20)');
      await page.emulateMedia({ colorScheme: 'light' });
    }));
});

describe('on a phone', () => {
  it('the query folds on scrolling, and the cut-off has a sheet', () =>
    inPage({ size: 'phone', path: '/c/pictures/like/412?min=0.20' }, async ({ page }) => {
      await results(page);
      const height = () => page.locator('.strip').boundingBox().then((b) => b?.height);
      expect(await height()).toBe(96);
      await page.mouse.wheel(0, 600);
      await expect.poll(height).toBe(48);
      await page.mouse.wheel(0, -2000);
      await expect.poll(height).toBe(96);

      await page.getByRole('button', { name: 'Cut-off 0.20' }).click();
      await page.getByRole('slider').fill('0.7');
      await page.getByRole('button', { name: 'Done' }).click();
      await page.getByRole('button', { name: 'Cut-off 0.70' }).waitFor();
    }));

  it('the round button chooses, and the detail is a whole sheet', () =>
    inPage({ size: 'phone' }, async ({ page, mock }) => {
      await page.locator('.wall .tile').first().waitFor();
      const [chooser] = await Promise.all([
        page.waitForEvent('filechooser'),
        page.locator('.choose').click(),
      ]);
      await chooser.setFiles({ name: 'beach.png', mimeType: 'image/png', buffer: pictureOf(mock, 9) });
      await results(page);
      await page.locator('.tile-open').first().click();
      await expect.poll(() => page.locator('.detail').boundingBox().then((b) => b?.width)).toBe(390);
      await page.goBack();
      await page.locator('.detail').waitFor({ state: 'detached' });
    }));
});
