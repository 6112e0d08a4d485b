/**
 * The tests under the other versions of Node that are supported (`npm run verify:nodes`), one after the other:
 *
 *   npm run verify:nodes                                 all tests, Node 22 and 24
 *   npm run verify:nodes -- --node 24 --project unit     these tests, this version
 *   node scripts/verify-nodes.mjs --reports FOLDER       also leaves FOLDER/node-22.json and so on, as vitest reports
 *
 * What else is given (a file, -t) goes to vitest. Fails when one version fails or can't be downloaded.
 */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { nodeBinary } from './node-binary.mjs'
import { testCounts } from './test-counts.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    node: { type: 'string', multiple: true, default: ['22', '24'] },
    project: { type: 'string', multiple: true, default: [] },
    reports: { type: 'string' },
    testNamePattern: { type: 'string', short: 't' },
  },
})
const filters = [
  ...values.project.map((project) => `--project=${project}`),
  ...(values.testNamePattern ? [`--testNamePattern=${values.testNamePattern}`] : []),
  ...positionals,
]

const reports = values.reports ?? mkdtempSync(join(tmpdir(), 'tidemark-nodes-'))
const lines = []
for (const major of values.node) lines.push(verify(major))
if (values.reports === undefined) rmSync(reports, { recursive: true })
for (const line of lines) console.log(line)

/** Runs the tests under one version, and says in a line what came of it. */
function verify(major) {
  try {
    const { version, path } = nodeBinary(major)
    const report = join(reports, `node-${major}.json`)
    const began = Date.now()
    console.log(`Node ${version}`)
    const { status } = spawnSync(
      path,
      [
        'node_modules/vitest/vitest.mjs',
        'run',
        '--reporter=default',
        '--reporter=json',
        `--outputFile.json=${report}`,
      ].concat(filters),
      {
        cwd: root,
        stdio: 'inherit',
        // What tests start by name (node, npx) is this version, too. Each test file checks that it is.
        env: { ...process.env, PATH: `${dirname(path)}${delimiter}${process.env.PATH}`, TIDEMARK_TEST_NODE: version },
      },
    )
    const { passed, failed, skipped, notes } = testCounts(report)
    for (const note of notes) console.log(note)
    if (status !== 0 || passed === 0) process.exitCode = 1
    const seconds = Math.round((Date.now() - began) / 1000)
    const outside = status !== 0 && failed === 0 ? ', and an error outside of any test' : ''
    return `Node ${version}: ${passed} passed, ${failed} failed, ${skipped} skipped${outside} (${seconds} s)`
  } catch (error) {
    process.exitCode = 1
    return error.message
  }
}
