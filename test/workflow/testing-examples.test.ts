import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'
import { describeWith, missing, part } from '../support/parts.js'

const root = fileURLToPath(new URL('../..', import.meta.url))
const run = promisify(execFile)

if (missing('timeSkipping').length === 0) {
  process.env.TIDEMARK_TEST_SERVER = part('timeSkipping').path
  // Its tests are tests of this file.
  await import('../../examples/testing/payments.test.js')
}

describeWith(['timeSkipping'], 'examples of tests', () => {
  it('node:test runs them, and its process ends by itself', async () => {
    const { NODE_TEST_CONTEXT: _, ...env } = process.env
    const args = ['--import', 'tsx', '--conditions=tidemark-source', '--test', 'examples/testing/payments.node.ts']
    const { stdout } = await run(process.execPath, args, { cwd: root, env, timeout: 60_000 })
    expect(stdout).toMatch(/pass 2\b/)
  })
})
