import { readFileSync, existsSync, readdirSync } from 'node:fs';
import { dirname, join, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import vue from '@vitejs/plugin-vue';
import { defineConfig, type Plugin } from 'vite';
import { parse } from 'yaml';

const here = dirname(fileURLToPath(import.meta.url));

/// Puts docs/openapi.yaml beside the page as openapi.json, anchors resolved.
function openapi(): Plugin {
  return {
    name: 'similis-openapi',
    apply: 'build',
    buildStart() {
      this.addWatchFile(join(here, '../docs/openapi.yaml'));
    },
    generateBundle() {
      const text = readFileSync(join(here, '../docs/openapi.yaml'), 'utf8');
      this.emitFile({
        type: 'asset',
        fileName: 'openapi.json',
        source: JSON.stringify(parse(text, { maxAliasCount: -1 })),
      });
    },
  };
}

/// Pictures that a style sheet carries as data URLs become files: the content security policy allows
/// pictures from this origin only.
function noDataUrls(): Plugin {
  return {
    name: 'similis-no-data-urls',
    apply: 'build',
    enforce: 'post',
    generateBundle(_options, bundle) {
      const pattern = /url\((?:"(data:[^"]+)"|'(data:[^']+)'|(data:[^)]+))\)/g;
      const extensions: Record<string, string> = {
        'image/svg+xml': 'svg',
        'image/png': 'png',
        'image/jpeg': 'jpg',
      };
      for (const asset of Object.values(bundle)) {
        if (asset.type !== 'asset' || !asset.fileName.endsWith('.css')) continue;
        asset.source = asset.source
          .toString()
          .replace(pattern, (_all, a?: string, b?: string, c?: string) => {
            const [, type = '', form = '', data = ''] =
              /^data:([^;,]+)([^,]*),(.*)$/s.exec(a ?? b ?? c ?? '') ?? [];
            const extension = extensions[type];
            if (!extension) this.error(`${asset.fileName} carries a ${type || 'thing'} as a data URL`);
            const source = form.includes('base64')
              ? Buffer.from(data, 'base64')
              : Buffer.from(decodeURIComponent(data));
            const reference = this.emitFile({ type: 'asset', name: `i.${extension}`, source });
            return `url(/${this.getFileName(reference)})`;
          });
      }
    },
  };
}

/// Writes notices.txt: name, version, licence and licence text of every package in the bundle.
/// A package without a licence text fails the build.
function notices(): Plugin {
  return {
    name: 'similis-notices',
    apply: 'build',
    generateBundle(_options, bundle) {
      const folders = new Set<string>();
      for (const chunk of Object.values(bundle)) {
        if (chunk.type !== 'chunk') continue;
        for (const raw of chunk.moduleIds) {
          const id = raw.replace(/^\0/, '').split('?')[0] ?? raw;
          const at = id.lastIndexOf(`${sep}node_modules${sep}`);
          if (at < 0) continue;
          const parts = id.slice(at + 14).split(sep);
          const name = parts[0]?.startsWith('@') ? parts.slice(0, 2) : parts.slice(0, 1);
          folders.add(join(id.slice(0, at + 14), ...name));
        }
      }
      const entries = [...folders].sort().map((folder) => {
        const pkg = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as {
          name: string;
          version: string;
          license?: string;
        };
        const file = readdirSync(folder).find((f) => /^licen[cs]e/i.test(f));
        if (!pkg.license || !file) this.error(`${pkg.name} has no licence to quote`);
        // Swagger UI is itself a bundle and names what is inside beside it.
        const texts = [file, 'NOTICE', 'swagger-ui-es-bundle.js.LICENSE.txt']
          .map((name) => join(folder, name))
          .filter((path) => existsSync(path))
          .map((path) => readFileSync(path, 'utf8').trim());
        return `${pkg.name} ${pkg.version} (${pkg.license})\n\n${texts.join('\n\n')}\n`;
      });
      this.emitFile({
        type: 'asset',
        fileName: 'notices.txt',
        source: entries.join(`\n${'-'.repeat(72)}\n\n`),
      });
    },
  };
}

export default defineConfig({
  root: here,
  plugins: [vue(), openapi(), noDataUrls(), notices()],
  build: {
    outDir: 'dist',
    target: 'es2021',
    modulePreload: { polyfill: false },
    // Data URLs would need img-src data: in the content security policy.
    assetsInlineLimit: 0,
    chunkSizeWarningLimit: 2000, // Swagger UI, on /docs only
    reportCompressedSize: false,
    rollupOptions: { input: { index: join(here, 'index.html'), docs: join(here, 'docs.html') } },
  },
  define: { __VUE_OPTIONS_API__: 'false', __VUE_PROD_DEVTOOLS__: 'false' },
  test: { include: ['tests/unit/**/*.test.ts'], environment: 'node' },
} as Parameters<typeof defineConfig>[0]);
