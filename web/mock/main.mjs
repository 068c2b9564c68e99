// node mock/main.mjs [--dev] [--port N] [--pictures FOLDER] [--scenario NAME]
// Serves dist/, or with --dev the sources through Vite, over the mock API.
import { parseArgs } from 'node:util';
import { createMock, failures, job } from './server.mjs';

const { values } = parseArgs({
  options: {
    dev: { type: 'boolean' },
    port: { type: 'string', default: '8421' },
    pictures: { type: 'string' },
    scenario: { type: 'string', default: 'plain' },
  },
});

const mock = createMock({ folder: values.pictures ?? null });
const scenarios = {
  plain() {},
  none: () => mock.collections.clear(),
  slow: () => (mock.searchDelayMs = 6000),
  error: () => (mock.searchProblem = [500, 'internal', 'the index is damaged', 'run similis verify']),
  key: () => (mock.key = 'sim_test'),
  indexing() {
    mock.failures = failures;
    let done = 0;
    let version = 1;
    setInterval(() => {
      if (mock.job && mock.job.state !== 'running') return;
      done = Math.min(8677, done + 107);
      mock.setJob(
        job({
          version: version++,
          state: done === 8677 ? 'done' : 'running',
          eta_s: (8677 - done) / 214,
          counters: { done, ready: Math.max(0, done - 3), failed: Math.min(3, done) },
        }),
      );
    }, 500);
  },
};
const scenario = scenarios[values.scenario];
if (!scenario) throw new Error(`no scenario ${values.scenario}; there are ${Object.keys(scenarios)}`);
scenario();
await mock.listen(values.dev ? 0 : Number(values.port));

if (values.dev) {
  const { createServer } = await import('vite');
  const vite = await createServer({
    appType: 'spa',
    server: {
      port: Number(values.port),
      proxy: { '/api': mock.url, '/healthz': mock.url, '/openapi.json': mock.url },
    },
  });
  await vite.listen();
  vite.printUrls();
} else {
  console.log(mock.url);
}
