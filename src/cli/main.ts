import { fail } from './fail.js'
import { tidemarkProgram } from './program.js'

const program = tidemarkProgram()
let worksOn = false
let json = false
program.hook('preAction', (_, action) => {
  worksOn = action.name() === 'start'
  json = action.opts().json === true
})
// Whoever reads along may have seen enough: `tidemark status | head`. A worker goes on without readers.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (worksOn) return
  if (error.code === 'EPIPE') process.exit()
  throw error
})
// What can't be said on standard error can be said nowhere.
process.stderr.on('error', () => {})
await program.parseAsync().catch((error) => fail(error, { json }))
// A connection to a peer that does not answer would keep the process for a while.
process.stdout.write('', () => process.exit())
