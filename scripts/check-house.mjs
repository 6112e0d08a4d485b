/**
 * House rules that no linter knows. Reads the files git would commit.
 *
 * - A source file stays within 400 lines, and from 300 on it is asked whether it is still one idea.
 * - Nothing of the machine it was written on gets in: no paths of a working directory.
 * - No signal is made that weak references hold, nor a timer: see src/model/signals.ts.
 * - The lock file names no registry, so that everybody installs from their own.
 */
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const limits = { warn: 300, fail: 400 }
// The suites that users run are tests, and as long as tests are.
const counted = /^(src(?!\/testing\/contracts)|workflows|activities)\/.*\.(ts|mjs|js)$/
// In pieces, or this file would find itself. Not inside a longer path or address.
const machinePaths = new RegExp(`(?<![\\w.-])(${['/wo' + 'rk/', '/ro' + 'ot/', '/Us' + 'ers/'].join('|')})`)
const registryHosts = /"resolved":\s*"https?:|\/\/[^/\s"']*(registry|npmjs|artifactory|nexus|verdaccio)[^/\s"']*\//i
const shipped = /^(src(?!\/(local|testing\/contracts))|workflows|activities)\//
const weakSignals = /AbortSignal\.(any|timeout)\(/
const binary = /\.(png|jpg|gif|ico|woff2?|gz|zst|bin)$/

const root = fileURLToPath(new URL('..', import.meta.url))
const listed = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], { cwd: root })
const files = listed
  .toString()
  .split('\0')
  .filter((file) => file !== '' && !binary.test(file))

const faults = []
for (const file of files) {
  const text = read(file)
  if (text === null) continue
  const lines = text.split('\n')
  if (counted.test(file) && lines.length > limits.fail)
    faults.push(`${file}: ${lines.length} lines, at most ${limits.fail}`)
  else if (counted.test(file) && lines.length > limits.warn) console.error(`warning: ${file}: ${lines.length} lines`)
  lines.forEach((line, index) => {
    const path = machinePaths.exec(line)
    if (path) faults.push(`${file}:${index + 1}: path of one machine: ${path[0]}`)
    if (shipped.test(file) && weakSignals.test(line))
      faults.push(
        `${file}:${index + 1}: a signal that may be collected; use joined() or a controller with a timer of its own`,
      )
  })
  if (file.endsWith('package-lock.json') || file.endsWith('.npmrc')) {
    const host = registryHosts.exec(text)
    if (host) faults.push(`${file}: names a registry (${host[0]}); .npmrc keeps them out: run npm install again`)
  }
}

for (const fault of faults) console.error(fault)
console.error(`house: ${files.length} files, ${faults.length} faults`)
process.exitCode = faults.length > 0 ? 1 : 0

/** The file's text; null for one deleted but not yet committed. */
function read(file) {
  try {
    return readFileSync(`${root}/${file}`, 'utf8')
  } catch (error) {
    if (error.code === 'ENOENT') return null
    throw error
  }
}
