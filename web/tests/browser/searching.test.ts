import { describe, expect, it } from 'vitest';
import { choose, drag, inPage, pictureOf, results, useBrowser } from './harness';

useBrowser();

const path = (url: string) => new URL(url).pathname + new URL(url).search;

describe('a query', () => {
  it('can be chosen, and its own picture is the first hit', () =>
    inPage({}, async ({ page, mock }) => {
      await page.locator('.wall .tile').first().waitFor();
      const [chooser] = await Promise.all([
        page.waitForEvent('filechooser'),
        page.getByRole('button', { name: 'choose a file' }).click(),
      ]);
      await chooser.setFiles({ name: 'beach.png', mimeType: 'image/png', buffer: pictureOf(mock, 9) });
      await results(page);
      expect(await page.locator('.score').first().textContent()).toContain('1.00');
      expect(await page.title()).toMatch(/^beach\.png · \d+ matches · similis$/);
      expect(path(page.url())).toBe('/c/pictures');
    }));

  it('can be dropped', () =>
    inPage({}, async ({ page, mock }) => {
      await page.locator('.wall .tile').first().waitFor();
      await drag(page, 'drop', [{ name: 'dropped.png', type: 'image/png', bytes: pictureOf(mock, 9) }]);
      await results(page);
      expect(await page.locator('.strip-name').textContent()).toBe('dropped.png');
    }));

  it('can be pasted', () =>
    inPage({}, async ({ page, mock }) => {
      await page.locator('.wall .tile').first().waitFor();
      await drag(page, 'paste', [{ name: 'image.png', type: 'image/png', bytes: pictureOf(mock, 9) }]);
      await results(page);
      expect(await page.locator('.strip-name').textContent()).toBe('Pasted picture');
    }));

  it('dropped where there is nothing to search leaves the page as it is', () =>
    inPage({ before: (mock) => mock.collections.clear() }, async ({ page }) => {
      await page.getByText('Nothing indexed yet.').waitFor();
      // The browser shows a dropped file in place of the page, unless it is told not to.
      const answers = await page.evaluate(() => {
        const transfer = new DataTransfer();
        transfer.items.add(new File(['x'], 'a.png', { type: 'image/png' }));
        return (['dragenter', 'dragover', 'drop'] as const).map((name) => {
          const init = { bubbles: true, cancelable: true, dataTransfer: transfer };
          return !document.body.dispatchEvent(new DragEvent(name, init));
        });
      });
      expect(answers).toEqual([true, true, true]);
      expect(await page.locator('.drop').count()).toBe(0);
      expect(path(page.url())).toBe('/');
    }));

  it('is refused here when it is no picture, and nothing is sent', () =>
    inPage({}, async ({ page, mock }) => {
      await page.locator('.wall .tile').first().waitFor();
      await choose(page, 'cat.jpg', Buffer.from('%PDF-1.7 …'), 'image/jpeg');
      await page.getByText('That is a PDF, not a picture').waitFor();
      expect(mock.requests.filter((r) => r.includes('/search'))).toEqual([]);
      await page.getByRole('button', { name: 'Dismiss' }).click();
      await page.getByText('Drop a picture, paste one, or').waitFor();

      await drag(page, 'drop', [
        { name: 'a.png', type: 'image/png' },
        { name: 'b.png', type: 'image/png' },
      ]);
      await page.getByText('Those are 2 files; one picture makes a search').waitFor();
    }));

  it('that the server refuses says what, why and what to do', () =>
    inPage({ expectStatus: [415] }, async ({ page }) => {
      await page.locator('.wall .tile').first().waitFor();
      await choose(page, 'x.jpg', Buffer.from('GARBAGE'), 'image/jpeg');
      await page.getByText('That is not a picture this reads.').waitFor();
      await page.getByText('Send JPEG, PNG, WebP').waitFor();
      expect(await page.getByRole('button', { name: 'Retry' }).count()).toBe(0);
    }));

  it('that failed is repeated with the same picture', () =>
    inPage(
      { expectStatus: [503], before: (mock) => (mock.searchProblem = [503, 'unavailable', 'the index is opening', 'try again']) },
      async ({ page, mock }) => {
        await page.locator('.wall .tile').first().waitFor();
        await choose(page, 'beach.png', pictureOf(mock, 9));
        await page.getByRole('button', { name: 'Retry' }).waitFor();
        mock.searchProblem = null;
        await page.getByRole('button', { name: 'Retry' }).click();
        await results(page);
        expect(await page.locator('.strip-name').textContent()).toBe('beach.png');
      },
    ));

  it('that is slow can be cancelled, and a new one cancels the old', () =>
    inPage({}, async ({ page, mock }) => {
      await page.locator('.wall .tile').first().waitFor();
      mock.searchDelayMs = 8000;
      await choose(page, 'slow.png', pictureOf(mock, 9));
      await page.getByText('Still working').first().waitFor();
      await page.getByRole('button', { name: 'Cancel' }).click();
      await page.getByText('Search cancelled').waitFor();

      await page.getByRole('button', { name: 'Search again' }).click();
      await page.locator('.skeleton div').first().waitFor();
      mock.searchDelayMs = 0;
      await choose(page, 'second.png', pictureOf(mock, 10));
      await results(page);
      expect(await page.locator('.strip-name').textContent()).toBe('second.png');
    }));

  it('survives reload, back and forward in this tab', () =>
    inPage({}, async ({ page, mock }) => {
      await page.locator('.wall .tile').first().waitFor();
      await choose(page, 'beach.png', pictureOf(mock, 9));
      await results(page);
      await page.reload();
      await results(page);
      expect(await page.locator('.strip-name').textContent()).toBe('beach.png');
      await page.goBack();
      await page.locator('.wall .tile').first().waitFor();
      await page.goForward();
      await results(page);
      expect(await page.locator('.strip-name').textContent()).toBe('beach.png');
    }));

  it('begins from a picture of the wall, and has an address', () =>
    inPage({}, async ({ page }) => {
      await page.locator('.wall .tile-open').nth(3).click();
      await results(page);
      expect(path(page.url())).toMatch(/^\/c\/pictures\/like\/\d+$/);
      const id = page.url().split('/').pop();
      const shown = await page.locator('.tile-open img').evaluateAll((images) => images.map((i) => i.getAttribute('src')));
      expect(shown.some((src) => src?.includes(`/${id}/`))).toBe(false);
    }));
});

describe('an address', () => {
  it('shows what it says', () =>
    inPage({ path: '/c/pictures/like/412?min=0.55&sort=date' }, async ({ page }) => {
      await results(page);
      expect(await page.locator('#cutoff-field').inputValue()).toBe('0.55');
      expect(await page.getByRole('radio', { name: 'Date' }).isChecked()).toBe(true);
      const scores = await page.locator('ul:not(.below) .score').allTextContents();
      for (const score of scores) expect(Number(score)).toBeGreaterThanOrEqual(0.55);
    }));

  it('has pictures to start from in each collection, equal in size or not', () =>
    inPage({}, async ({ page, mock }) => {
      const { createMock } = await import('../../mock/server.mjs');
      mock.collections.set('others', createMock({ count: 64 }).collections.get('pictures') ?? []);
      await page.reload();
      await page.locator('.wall .tile').nth(39).waitFor({ state: 'attached' });
      for (const name of ['others', 'pictures']) {
        await page.locator('.collections-button').click();
        await page.locator('.collections-row').getByText(name).click();
        await page.waitForURL(`**/c/${name}`);
        await page.locator('.wall .tile').nth(39).waitFor({ state: 'attached' });
        const source = await page.locator('.wall .tile img').first().getAttribute('src');
        expect(source).toContain(`/collections/${name}/`);
      }
    }));

  it('of a picture that is gone says so', () =>
    inPage({ path: '/c/pictures/like/99', expectStatus: [404] }, async ({ page }) => {
      await page.getByText('No picture 99 in pictures.').waitFor();
    }));

  it('of a collection that is not there lists those that are', () =>
    inPage({ path: '/c/pictuers', expectStatus: [404] }, async ({ page }) => {
      await page.getByText('There is no collection “pictuers”.').waitFor();
      await page.getByRole('button', { name: 'pictures · 64' }).click();
      await page.locator('.wall .tile').first().waitFor();
    }));
});

describe('results', () => {
  it('come without a shift of what is there', () =>
    inPage({}, async ({ page, mock }) => {
      await page.locator('.wall .tile').first().waitFor();
      await page.evaluate(() => {
        const w = window as unknown as { shifts: number };
        w.shifts = 0;
        new PerformanceObserver((list) => {
          for (const entry of list.getEntries()) {
            w.shifts += (entry as PerformanceEntry & { value: number }).value;
          }
        }).observe({ type: 'layout-shift', buffered: false });
      });
      mock.searchDelayMs = 700;
      await choose(page, 'beach.png', pictureOf(mock, 9));
      await results(page);
      await page.waitForTimeout(500);
      expect(await page.evaluate(() => (window as unknown as { shifts: number }).shifts)).toBeLessThan(0.01);
    }));

  it('follow the cut-off without asking again, and the address follows too', () =>
    inPage({ path: '/c/pictures/like/412' }, async ({ page, mock }) => {
      await results(page);
      const asked = mock.requests.filter((r) => r.includes('/search')).length;
      const count = () => page.locator('ul:not(.below) .tile').count();
      const before = await count();
      await page.locator('#cutoff-field').fill('0.70');
      await page.locator('#cutoff-field').press('Enter');
      await expect.poll(count).toBeLessThan(before);
      expect(path(page.url())).toBe('/c/pictures/like/412?min=0.70');
      await page.getByText('Below 0.70: less likely').waitFor();
      await page.locator('#cutoff-field').fill('7');
      await page.locator('#cutoff-field').press('Enter');
      expect(await page.locator('#cutoff-field').inputValue()).toBe('1.00');
      await page.getByText('Nothing here looks like this.').waitFor();
      expect(mock.requests.filter((r) => r.includes('/search')).length).toBe(asked);
    }));

  it('show the nearest on request', () =>
    inPage({}, async ({ page, mock }) => {
      await page.locator('.wall .tile').first().waitFor();
      await choose(page, 'nothing.png', pictureOf(mock, 9));
      await page.getByRole('button', { name: 'Show the nearest' }).click();
      await results(page);
      expect(await page.locator('.score').first().textContent()).toContain('0.50');
      expect(path(page.url())).toBe('/c/pictures?min=0.50');
    }));

  it('go on while scrolling until the cut-off, each once', () =>
    inPage({ path: '/c/pictures/like/450?min=0.00', count: 320 }, async ({ page, mock }) => {
      await results(page);
      await page.getByText('319 good matches of 320').first().waitFor();
      const ids = () =>
        page.locator('.tile-open img').evaluateAll((images) => images.map((i) => i.getAttribute('src')));
      await expect
        .poll(async () => {
          await page.mouse.wheel(0, 6000);
          return (await ids()).length;
        }, { timeout: 20_000 })
        .toBe(319);
      const all = await ids();
      expect(new Set(all).size).toBe(all.length);
      expect(mock.requests.filter((r) => r.includes('/search')).length).toBeGreaterThanOrEqual(3);
    }));

  it('sorted by date are all there is above the cut-off, newest first', () =>
    inPage({ path: '/c/pictures/like/450?min=0.30&sort=date', count: 320 }, async ({ page }) => {
      await results(page);
      const text = (await page.locator('.line-count').textContent()) ?? '';
      const count = Number(/(\d+) good/.exec(text)?.[1]);
      expect(count).toBeGreaterThan(100);
      await expect.poll(() => page.locator('ul:not(.below) .tile').count()).toBe(count);
      const folders = await page.locator('ul:not(.below) .foot-more').allTextContents();
      const years = folders.map((f) => Number(/Holidays\/(\d+)/.exec(f)?.[1]));
      expect(years).toEqual([...years].sort((a, b) => b - a));
    }));

  it('tell where the time went', () =>
    inPage({ path: '/c/pictures/like/412' }, async ({ page }) => {
      await results(page);
      await page.locator('.line-count').click();
      expect(await page.locator('.line-stages').innerText()).toMatch(/decode\s+3\.9 ms[\s\S]+model[\s\S]+index[\s\S]+total\s+11 ms/);
      await page.keyboard.press('Escape');
      await page.locator('.line-stages').waitFor({ state: 'detached' });
      await expect.poll(() => page.evaluate(() => document.activeElement?.className ?? '')).toContain('line-count');
    }));

  it('show names as text only', () =>
    inPage({ path: '/c/pictures/like/416?min=0.00' }, async ({ page }) => {
      await results(page);
      const names = await page.locator('.tile-open').evaluateAll((b) => b.map((e) => e.getAttribute('aria-label') ?? ''));
      expect(names.some((n) => n.includes('<img src=x onerror=alert(1)>.png'))).toBe(true);
      expect(names.some((n) => n.includes('invoice\\u202egnp.exe.png'))).toBe(true);
      expect(await page.locator('img[src="x"]').count()).toBe(0);
    }));
});
