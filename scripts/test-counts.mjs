/** What vitest's JSON report at `path` says, and one line for each test or file that did not pass. */
import { readFileSync } from 'node:fs'

export function testCounts(path) {
  const counts = { passed: 0, failed: 0, skipped: 0, notes: [] }
  let report
  try {
    report = JSON.parse(readFileSync(path, 'utf8'))
  } catch (error) {
    // Vitest, or what should have started it, broke before any test.
    counts.failed++
    counts.notes.push(`failed: no report of these tests: ${error.message}`)
    return counts
  }
  for (const { name, status, message, assertionResults } of report.testResults) {
    for (const test of assertionResults) {
      const outcome = test.status === 'passed' || test.status === 'failed' ? test.status : 'skipped'
      counts[outcome]++
      if (outcome !== 'passed') counts.notes.push(`${outcome}: ${name}: ${test.fullName}`)
    }
    // A file that breaks before or after its tests fails without any failed test.
    if (status === 'failed' && !assertionResults.some((test) => test.status === 'failed')) {
      counts.failed++
      counts.notes.push(`failed: ${name}: ${message || 'a hook failed'}`)
    }
  }
  return counts
}
