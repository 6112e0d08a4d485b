import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../../', import.meta.url))

/**
 * Node's arguments for the command line as the package ships it. What tests start as a process of its own is this: it starts in less than
 * half the time of the sources, and is what users run. The global set-up brings it up to date.
 */
export const tidemarkProgram = `${root}dist/src/cli/main.js`

/** Builds dist/ where a source is younger. */
export function bringUpToDate(): void {
  const { status, error } = spawnSync(process.execPath, [`${root}scripts/build.mjs`, '--if-older'], {
    stdio: ['ignore', 2, 2],
  })
  if (error) throw error
  if (status !== 0) throw new Error('dist/, which tests run as users do, could not be built: see above')
}
