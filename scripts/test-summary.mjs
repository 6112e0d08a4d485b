/**
 * `node scripts/test-summary.mjs REPORT STATUS`: reads vitest's JSON report and ends with `N passed, N failed, N skipped`.
 * STATUS is what vitest exited with: errors outside of any test (an unhandled rejection) show up only there.
 * Fails when a test or a test file failed, when nothing ran, and, with CI=true, when anything was skipped: a test that
 * quietly stopped running proves nothing.
 */
import { readFileSync } from 'node:fs'

const [path, status] = process.argv.slice(2)
const report = JSON.parse(readFileSync(path, 'utf8'))
const counts = { passed: 0, failed: 0, skipped: 0 }

for (const { name, status, message, assertionResults } of report.testResults) {
  for (const test of assertionResults) {
    const outcome = test.status === 'passed' || test.status === 'failed' ? test.status : 'skipped'
    counts[outcome]++
    if (outcome !== 'passed') console.log(`${outcome}: ${name}: ${test.fullName}`)
  }
  // A file that breaks before or after its tests fails without any failed test.
  if (status === 'failed' && !assertionResults.some((test) => test.status === 'failed')) {
    counts.failed++
    console.log(`failed: ${name}: ${message || 'a hook failed'}`)
  }
}

const forbidden = process.env.CI === 'true' ? counts.skipped : 0
if (forbidden > 0) console.log(`${forbidden} tests were skipped, which CI does not allow`)
const clean = status === '0' && counts.failed === 0
if (!clean && counts.failed === 0) console.log('vitest reports an error outside of any test, see above')
if (counts.passed === 0) console.log('no test ran')
process.exitCode = clean && forbidden === 0 && counts.passed > 0 ? 0 : 1
console.log(`${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`)
