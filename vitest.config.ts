import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // A process for each file: what uWebSockets keeps in a process does not leak into the next file.
    pool: 'forks',
    // Each gateway under test has threads of its own; two files at a time would share two cores between ten threads.
    fileParallelism: false,
    testTimeout: 20_000,
    hookTimeout: 20_000,
    teardownTimeout: 5_000,
    // The product is tested as it is built, not as Vite would transform it.
    server: { deps: { external: [/\/dist\//] } },
  },
});
