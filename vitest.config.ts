import { defineConfig } from 'vitest/config'
import { LongestFirst } from './test/support/longest-first.js'

/**
 * One project per kind of test; `npm run test:unit` and friends pick one. Kinds of one turn run beside each other. Chaos freezes
 * workers in the middle of a transaction, behind which every reader of a stream on the same Postgres waits: nobody reads one then.
 */
const kinds = {
  chaos: { timeout: 900_000, turn: 1 },
  workflow: { timeout: 120_000, turn: 1 },
  replay: { timeout: 120_000, turn: 1 },
  unit: { timeout: 10_000, turn: 1 },
  integration: { timeout: 240_000, turn: 2 },
  contract: { timeout: 120_000, turn: 2 },
}

/**
 * So many files at a time keep two cores busy, by turn: tests wait as long as they compute, those of the second turn longer. They share
 * brokers, a database server and Temporal, with names of their own.
 */
const filesAtATime: Readonly<Record<number, number>> = { 1: 3, 2: 4 }

export default defineConfig({
  test: {
    sequence: { sequencer: LongestFirst },
    projects: Object.entries(kinds).map(([name, { timeout, turn }]) => ({
      // Vitest hands these to Node, too: with 'import' among them, a CommonJS package would be given ES modules.
      resolve: { conditions: ['tidemark-source', 'node'] },
      ssr: { resolve: { conditions: ['tidemark-source', 'node'] } },
      test: {
        name,
        include: [`test/${name}/**/*.test.ts`],
        testTimeout: timeout,
        hookTimeout: Math.max(timeout, 60_000),
        maxWorkers: filesAtATime[turn]!,
        sequence: { groupOrder: turn },
        pool: 'forks' as const,
        // A process for each file is more than half of the unit tests' time: they share one, but no modules.
        isolate: name !== 'unit',
        setupFiles: [
          ...(name === 'unit' ? ['test/support/fresh-modules.ts'] : []),
          ...(process.env.TIDEMARK_TEST_NODE === undefined ? [] : ['test/support/asked-node.ts']),
        ],
        ...(name === 'unit' ? {} : { globalSetup: ['test/support/stack.ts'] }),
      },
    })),
  },
})
