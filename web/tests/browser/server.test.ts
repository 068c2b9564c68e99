import { describe, expect, it } from 'vitest';
import { choose, inPage, pictureOf, results, useBrowser } from './harness';

useBrowser();

describe('a server that goes away', () => {
  it('is waited for, and the search goes on when it is back', async () => {
    await inPage({}, async ({ page, mock, complaints }) => {
      await page.locator('.wall .tile').first().waitFor();
      await choose(page, 'first.png', pictureOf(mock, 9));
      await results(page);
      await page.route(/\/(api|healthz)/, (route) => route.abort());
      await choose(page, 'second.png', pictureOf(mock, 10));
      await page.getByText(/Connection lost\. Trying again in \d+ s/).waitFor();
      await page.getByText('The server does not answer.').waitFor();
      expect(await page.locator('.tile').count()).toBeGreaterThan(5);
      await page.unroute(/\/(api|healthz)/);
      await page.getByText('Connection lost').waitFor({ state: 'detached', timeout: 15_000 });
      await results(page);
      expect(await page.locator('.strip-name').textContent()).toBe('second.png');
      expect(complaints.every((c) => c.includes('ERR_FAILED'))).toBe(true);
      complaints.length = 0;
    });
  });

  it('asks for a key where one is needed', () =>
    inPage({ expectStatus: [401], before: (mock) => (mock.key = 'sim_right') }, async ({ page }) => {
      await page.getByLabel('API key').fill('sim_wrong');
      await page.getByRole('button', { name: 'Sign in' }).click();
      await page.getByText('wrong key').waitFor();
      await page.getByLabel('API key').fill('sim_right');
      await page.getByRole('button', { name: 'Sign in' }).click();
      await page.locator('.wall .tile').first().waitFor();
    }));

  it('is noticed by pictures that do not come, and they come when it is back', () =>
    inPage({}, async ({ page, complaints }) => {
      await page.locator('.wall .tile-open.loaded').first().waitFor();
      const routes = /\/(api|healthz)/;
      await page.route(routes, (route) =>
        route.request().url().includes('/images?') ? route.continue() : route.abort(),
      );
      await page.keyboard.press('r');
      await page.locator('.wall .tile-broken').first().waitFor();
      await page.locator('.lost').waitFor({ timeout: 2000 });
      await page.unroute(routes);
      await page.locator('.lost').waitFor({ state: 'detached', timeout: 15_000 });
      await expect.poll(() => page.locator('.wall .tile-broken').count()).toBe(0);
      await expect.poll(() => page.locator('.wall .tile-open.loaded').count()).toBe(40);
      expect(complaints.every((c) => c.includes('ERR_FAILED'))).toBe(true);
      complaints.length = 0;
    }));

  it('keeps the pictures when it was started anew, and goes on with its new token', () =>
    inPage({ expectStatus: [401] }, async ({ page, mock, complaints }) => {
      await page.locator('.wall .tile').first().waitFor();
      await choose(page, 'first.png', pictureOf(mock, 9));
      await results(page);
      const tiles = await page.locator('.tile').count();

      const { port } = new URL(mock.url);
      await mock.close();
      mock.key = 'token-of-the-second-start';
      await mock.listen(Number(port));
      const words = page.getByText('The server was started anew: open the address it printed.');
      await words.waitFor({ timeout: 20_000 });
      expect(await page.locator('.tile').count()).toBe(tiles);
      expect(await page.locator('.signin').count()).toBe(0);

      await choose(page, 'second.png', pictureOf(mock, 10));
      await page.getByText('The server does not know this page any more.').waitFor();
      expect(await page.locator('.tile').count()).toBe(tiles);

      // The printed address, opened in another tab: its cookie is this tab's too.
      await page.evaluate(
        (credential) =>
          fetch('/api/v1/session', {
            method: 'POST',
            headers: { 'Content-Type': 'application/json' },
            body: JSON.stringify({ credential }),
          }),
        mock.key,
      );
      await page.evaluate(() => document.dispatchEvent(new Event('visibilitychange'))); // back here
      await words.waitFor({ state: 'detached', timeout: 20_000 });
      await results(page);
      expect(await page.locator('.strip-name').textContent()).toBe('second.png');
      expect(complaints.filter((c) => !c.includes('ERR_CONNECTION'))).toEqual([]);
      complaints.length = 0;
    }));

  it('takes a key in place of its new token', () =>
    inPage({ expectStatus: [401] }, async ({ page, mock }) => {
      await page.locator('.wall .tile').first().waitFor();
      mock.key = 'sim_right';
      await page.getByRole('button', { name: 'Use a key' }).click({ timeout: 20_000 });
      await page.getByLabel('API key').fill('sim_right');
      await page.getByRole('button', { name: 'Sign in' }).click();
      await page.locator('.signin').waitFor({ state: 'detached' });
      await page.locator('.lost').waitFor({ state: 'detached' });
      await page.getByRole('button', { name: 'Shuffle' }).click();
      await page.locator('.wall .tile').first().waitFor();
    }));

  it('that fails once leaves the pictures where they are', () =>
    inPage({ expectStatus: [503] }, async ({ page }) => {
      await page.locator('.wall .tile').first().waitFor();
      await page.route(/\/api\/v1\/collections$/, (route) =>
        route.fulfill({
          status: 503,
          contentType: 'application/problem+json',
          body: JSON.stringify({ detail: 'the server is busy', hint: 'try again in a moment' }),
        }),
      );
      await page.getByText('the server is busy: try again in a moment').waitFor({ timeout: 20_000 });
      expect(await page.locator('.wall .tile').count()).toBeGreaterThan(20);
      await page.unroute(/\/api\/v1\/collections$/);
      await page.locator('.lost').waitFor({ state: 'detached', timeout: 20_000 });
    }));
});
