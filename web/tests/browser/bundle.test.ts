import { readdirSync, readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { axe, inPage, useBrowser } from './harness';

useBrowser();

const dist = new URL('../../dist/', import.meta.url);
const read = (name: string) => readFileSync(new URL(name, dist), 'utf8');
const assets = readdirSync(new URL('assets/', dist)).map((name) => `assets/${name}`);

/// Every script that a page loads, those it imports included.
function scriptsOf(page: string): string[] {
  const found = new Set<string>();
  const open = [...read(page).matchAll(/(?:src|href)="\/([^"]+\.js)"/g)].map((m) => m[1] ?? '');
  for (let name = open.pop(); name !== undefined; name = open.pop()) {
    if (found.has(name)) continue;
    found.add(name);
    for (const m of read(name).matchAll(/["']\.\/([\w.-]+\.js)["']/g)) open.push(`assets/${m[1]}`);
  }
  return [...found];
}

describe('the bundle', () => {
  it('has at most 90 KB of script, compressed', () => {
    const scripts = scriptsOf('index.html');
    expect(scripts.length).toBeGreaterThanOrEqual(2);
    const bytes = scripts.reduce((sum, name) => sum + gzipSync(read(name)).length, 0);
    console.log(`${scripts.join(', ')}: ${bytes} bytes`);
    expect(bytes).toBeLessThanOrEqual(90 * 1024);
  });

  it('carries nothing that the policy forbids', () => {
    for (const page of ['index.html', 'docs.html']) {
      expect(read(page)).not.toMatch(/<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=/);
    }
    for (const name of assets.filter((a) => a.endsWith('.css'))) {
      expect(read(name)).not.toMatch(/url\(["']?(data:|https?:|\/\/)/);
    }
  });

  it('names what it is made of, with licences', () => {
    const notices = read('notices.txt');
    for (const name of ['@vue/runtime-dom', '@vue/reactivity', 'swagger-ui-dist']) {
      expect(notices).toContain(`${name} `);
    }
  });
});

/// What axe finds in every page that Swagger UI draws.
const ofSwagger = [
  'color-contrast',
  'heading-order', // a level is left out
  'nested-interactive', // links in the heads of operations
  'region', // its title is outside its <main>
  'scrollable-region-focusable', // examples
  'select-name', // parameters, and examples to choose from
];

describe('the API page', () => {
  it('shows every operation with its curl, under the same policy', () =>
    inPage({ path: '/docs' }, async ({ page }) => {
      const description = JSON.parse(read('openapi.json')) as { paths: Record<string, Record<string, unknown>> };
      const operations = Object.values(description.paths).flatMap((methods) =>
        Object.keys(methods).filter((m) => m !== 'parameters'),
      );
      await page.locator('.opblock').first().waitFor();
      expect((await axe(page)).filter((f) => !ofSwagger.includes(f.id))).toEqual([]);
      expect(await page.locator('.opblock').count()).toBe(operations.length);
      await page.locator('#operations-search-search button').first().click();
      await page.getByText('curl -T cat.jpg -X POST').first().waitFor();
      expect((await axe(page)).filter((f) => !ofSwagger.includes(f.id))).toEqual([]);
    }));
});
