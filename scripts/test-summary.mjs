/**
 * `node scripts/test-summary.mjs STATUS REPORT...`: reads vitest's JSON reports and ends with `N passed, N failed, N skipped`,
 * over all of them. STATUS is 0 only when every run of vitest exited with 0: errors outside of any test (an unhandled rejection)
 * show up only there. Fails when a test or a test file failed, when a report is missing or holds no test that passed, and, with
 * CI=true, when anything was skipped: a test that quietly stopped running proves nothing.
 */
import { basename } from 'node:path'
import { testCounts } from './test-counts.mjs'

const [status, ...reports] = process.argv.slice(2)
const total = { passed: 0, failed: 0, skipped: 0 }
let empty = reports.length === 0

for (const report of reports) {
  const { notes, ...counts } = testCounts(report)
  for (const outcome of Object.keys(total)) total[outcome] += counts[outcome]
  for (const note of notes) console.log(`${basename(report, '.json')}: ${note}`)
  if (counts.passed > 0) continue
  empty = true
  console.log(`${basename(report, '.json')}: no test passed`)
}

const forbidden = process.env.CI === 'true' ? total.skipped : 0
if (forbidden > 0) console.log(`${forbidden} tests were skipped, which CI does not allow`)
const clean = status === '0' && total.failed === 0
if (!clean && total.failed === 0) console.log('vitest reports an error outside of any test, see above')
process.exitCode = clean && forbidden === 0 && !empty ? 0 : 1
console.log(`${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`)
