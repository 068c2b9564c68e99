import { mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Page } from 'playwright-core';
import { describe, expect, it } from 'vitest';
import { failures, job, type Mock } from '../../mock/server.mjs';
import { axe, choose, drag, inPage, pictureOf, results, sizes, useBrowser, type Setup, type Size } from './harness';

// Every state of the page, at both sizes and in both themes: reached, readable by everybody, within
// the width, and photographed into build/screenshots.

useBrowser();

const shots = fileURLToPath(new URL('../../../build/screenshots/', import.meta.url));
mkdirSync(shots, { recursive: true });

interface State {
  name: string;
  setup?: Setup;
  reach: (page: Page, mock: Mock, size: Size) => Promise<void>;
  dims?: boolean; // what is behind is dimmed on purpose, below the contrast of text
}

const seeText = (page: Page, text: string | RegExp) => page.getByText(text).first().waitFor();

const states: State[] = [
  {
    name: '14-empty',
    async reach(page, _mock, size) {
      await seeText(page, size === 'phone' ? 'Choose a picture' : 'Drop a picture, paste one, or');
      await seeText(page, 'It stays on this machine and is not stored.');
      await page.locator('.wall .tile').nth(39).waitFor({ state: 'attached' });
    },
  },
  {
    name: '15-dragging',
    dims: true,
    async reach(page) {
      await page.locator('.wall .tile').first().waitFor();
      await drag(page, 'dragover', [{ name: 'a.jpg', type: 'image/jpeg' }]);
      await seeText(page, 'Drop to search');
    },
  },
  {
    name: '15-dragging-several',
    dims: true,
    async reach(page) {
      await page.locator('.wall .tile').first().waitFor();
      const file = { name: 'a.jpg', type: 'image/jpeg' };
      await drag(page, 'dragover', [file, file]);
      await seeText(page, 'Drop one picture to search');
    },
  },
  {
    name: '15-dragging-pdf',
    dims: true,
    async reach(page) {
      await page.locator('.wall .tile').first().waitFor();
      await drag(page, 'dragover', [{ name: 'a.pdf', type: 'application/pdf' }]);
      await seeText(page, 'That is a PDF, not a picture');
    },
  },
  {
    name: '16-searching',
    setup: { before: (mock) => (mock.searchDelayMs = 20_000) },
    async reach(page, mock) {
      await page.locator('.wall .tile').first().waitFor();
      await choose(page, 'beach.png', pictureOf(mock, 9));
      await page.locator('.skeleton div').first().waitFor();
      await seeText(page, 'Still working');
    },
  },
  {
    name: '17-results',
    async reach(page, mock) {
      await page.locator('.wall .tile').first().waitFor();
      await choose(page, 'beach.png', pictureOf(mock, 9));
      await results(page);
      await seeText(page, /good matches of 64/);
    },
  },
  {
    name: '17-below',
    async reach(page, mock) {
      await page.locator('.wall .tile').first().waitFor();
      await choose(page, 'beach.png', pictureOf(mock, 9));
      await results(page);
      await page.getByText('Below 0.60: less likely').scrollIntoViewIfNeeded();
      expect(await page.locator('ul.below .tile').count()).toBe(12);
    },
    dims: true,
  },
  {
    name: '17-detail',
    async reach(page, mock) {
      await page.locator('.wall .tile').first().waitFor();
      await choose(page, 'beach.png', pictureOf(mock, 9));
      await results(page);
      await page.locator('.tile-open').nth(2).click();
      await page.getByRole('button', { name: 'Copy path' }).waitFor();
    },
  },
  {
    name: '18-no-match',
    async reach(page, mock) {
      await page.locator('.wall .tile').first().waitFor();
      await choose(page, 'nothing.png', pictureOf(mock, 9));
      await seeText(page, 'Nothing here looks like this.');
      await seeText(page, /The nearest is 0\.50 .*the cut-off is 0\.60\./);
      await page.getByRole('button', { name: 'Show the nearest' }).waitFor();
    },
  },
  {
    name: '19-error',
    setup: {
      expectStatus: [500],
      before: (mock) =>
        (mock.searchProblem = [500, 'corruption', 'the index is damaged', 'run similis verify']),
    },
    async reach(page, mock) {
      await page.locator('.wall .tile').first().waitFor();
      await choose(page, 'beach.png', pictureOf(mock, 9));
      await seeText(page, 'The index is damaged.');
      await seeText(page, 'Run similis verify.');
      await page.getByRole('button', { name: 'Retry' }).waitFor();
    },
  },
  {
    name: '19-index-does-not-open',
    setup: {
      before(mock) {
        mock.command = './similis';
        mock.indexError = { code: 'corruption', detail: 'the manifest is damaged', hint: '' };
      },
    },
    async reach(page, _mock, size) {
      await seeText(page, 'Nothing can be searched here: the manifest is damaged.');
      await seeText(page, './similis verify');
      await seeText(page, size === 'phone' ? 'Choose a picture' : 'Drop a picture, paste one, or');
      expect(await page.locator('.tile').count()).toBe(0);
    },
  },
  {
    name: '20-indexing',
    setup: {
      before(mock) {
        mock.job = job();
        mock.failures = failures;
      },
    },
    async reach(page, _mock, size) {
      await page.locator('.wall .tile').first().waitFor();
      await seeText(page, size === 'phone' ? '62 %' : 'Indexing 5,380 of 8,677 · 15 s left');
    },
  },
  {
    name: '20-indexing-failures',
    setup: {
      before(mock) {
        mock.job = job();
        mock.failures = failures;
      },
    },
    async reach(page) {
      await page.locator('.pill').click();
      await seeText(page, 'Scans/p3.jpg');
      await seeText(page, /JPEG ends early: 18,233 of 40,112 bytes/);
    },
  },
  {
    name: '21-nothing-indexed',
    setup: { before: (mock) => mock.collections.clear() },
    async reach(page) {
      await seeText(page, 'Nothing indexed yet.');
      await seeText(page, 'similis index ~/Pictures');
    },
  },
  {
    name: '22-connection-lost',
    async reach(page, mock) {
      await page.locator('.wall .tile').first().waitFor();
      await choose(page, 'beach.png', pictureOf(mock, 9));
      await results(page);
      await page.route(/\/(api|healthz)/, (route) => route.abort());
      await seeText(page, /Connection lost\. Trying again in \d+ s/);
      expect(await page.locator('.tile').count()).toBeGreaterThan(5);
    },
  },
  {
    name: '22-started-anew',
    setup: { expectStatus: [401] },
    async reach(page, mock, size) {
      await page.locator('.wall .tile').first().waitFor();
      await choose(page, 'beach.png', pictureOf(mock, 9));
      await results(page);
      mock.key = 'sim_another';
      const words = page.getByText(size === 'phone' ? 'Started anew' : 'The server was started anew');
      await words.waitFor();
      expect(await words.evaluate((e) => e.scrollWidth - e.clientWidth), 'is cut off').toBe(0);
      expect(await page.locator('.tile').count()).toBeGreaterThan(5);
    },
  },
  {
    name: '11-less-likely-without-pictures',
    setup: { expectStatus: [404] },
    async reach(page, mock) {
      await page.locator('.wall .tile').first().waitFor();
      await page.route(/\/thumbnail/, (route) => route.fulfill({ status: 404 }));
      await choose(page, 'beach.png', pictureOf(mock, 9));
      await results(page);
      await page.locator('.below .tile').last().scrollIntoViewIfNeeded();
      await page.locator('.below .tile-open.broken').first().waitFor();
    },
  },
  {
    name: '22-use-a-key',
    setup: { expectStatus: [401] },
    dims: true,
    async reach(page, mock) {
      await page.locator('.wall .tile-open.loaded').first().waitFor();
      mock.key = 'sim_another';
      await page.getByRole('button', { name: 'Use a key' }).click();
      await seeText(page, 'This server needs a key.');
    },
  },
  {
    name: '23-help',
    dims: true,
    async reach(page) {
      await page.locator('.wall .tile').first().waitFor();
      await page.locator('.bar .icon-button').last().click();
      await page.getByRole('link', { name: 'API' }).waitFor();
    },
  },
  {
    name: 'sign-in',
    setup: { expectStatus: [401], before: (mock) => (mock.key = 'sim_test') },
    async reach(page) {
      await seeText(page, 'This server needs a key.');
    },
  },
];

const settled = (page: Page) =>
  page.waitForFunction(() => document.getAnimations().every((a) => a.playState !== 'running' || a.effect?.getComputedTiming().iterations === Infinity));

for (const size of Object.keys(sizes) as Size[]) {
  for (const scheme of ['light', 'dark'] as const) {
    describe(`${size} ${scheme}`, () => {
      it.each(states)('$name', async (state) => {
        const setup = { ...state.setup, size, scheme };
        await inPage(setup, async ({ page, mock, complaints }) => {
          await state.reach(page, mock, size);
          await settled(page);
          await page.screenshot({ path: `${shots}${state.name}-${size}-${scheme}.png` });

          const findings = await axe(page);
          const serious = state.dims ? findings.filter((f) => f.id !== 'color-contrast') : findings;
          expect(serious).toEqual([]);

          const overflow = await page.evaluate(
            () => document.documentElement.scrollWidth - window.innerWidth,
          );
          expect(overflow, 'nothing is wider than the page').toBeLessThanOrEqual(0);

          if (size === 'phone') expect(await tooSmall(page), 'targets').toEqual([]);
          if (state.name === '22-connection-lost') complaints.length = 0; // refused on purpose
        });
      });
    });
  }
}

/// Controls that a finger would miss: below 44 px one way. Links inside a sentence are as high as it.
function tooSmall(page: Page): Promise<string[]> {
  return page.evaluate(() => {
    const list: string[] = [];
    for (const element of document.querySelectorAll<HTMLElement>('button, a[href], input, select')) {
      const box = element.getBoundingClientRect();
      const hidden =
        box.width === 0 ||
        element.closest('[inert]') !== null ||
        element.classList.contains('offscreen') ||
        getComputedStyle(element).visibility === 'hidden';
      if (hidden || element.classList.contains('link')) continue;
      if (document.querySelector('dialog[open]') && !element.closest('dialog[open]')) continue;
      const target = element.matches('.lost button') ? 32 : 44;
      if (box.height < target - 0.5 || box.width < 40) {
        list.push(`${box.width}×${box.height} ${element.outerHTML.slice(0, 120)}`);
      }
    }
    return list;
  });
}
