import { defineConfig } from 'vitest/config'

/** One project per kind of test; `npm run test:unit` and friends pick one. */
const kinds = {
  unit: { timeout: 10_000, parallel: true },
  contract: { timeout: 120_000, parallel: false },
  workflow: { timeout: 120_000, parallel: false },
  replay: { timeout: 120_000, parallel: false },
  integration: { timeout: 240_000, parallel: false },
  chaos: { timeout: 900_000, parallel: false },
}

export default defineConfig({
  // One file at a time: the integration parts share one broker and one database, and two cores.
  test: {
    maxWorkers: 2,
    projects: Object.entries(kinds).map(([name, { timeout, parallel }]) => ({
      // Vitest hands these to Node, too: with 'import' among them, a CommonJS package would be given ES modules.
      resolve: { conditions: ['tidemark-source', 'node'] },
      ssr: { resolve: { conditions: ['tidemark-source', 'node'] } },
      test: {
        name,
        include: [`test/${name}/**/*.test.ts`],
        testTimeout: timeout,
        hookTimeout: Math.max(timeout, 60_000),
        fileParallelism: parallel,
        pool: 'forks' as const,
        ...(name === 'unit' ? {} : { globalSetup: ['test/support/stack.ts'] }),
      },
    })),
  },
})
