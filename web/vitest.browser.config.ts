import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    // A browser on a busy machine may miss a deadline once; a fault fails twice.
    retry: 1,
    include: ['tests/browser/**/*.test.ts'],
    environment: 'node',
    testTimeout: 60_000,
    hookTimeout: 60_000,
    fileParallelism: false,
  },
});
