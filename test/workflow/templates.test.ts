import { cpSync, mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll } from 'vitest'
import { missing, part } from '../support/parts.js'

/* The test that `tidemark init` writes, beside the config that it writes. */

const root = fileURLToPath(new URL('../..', import.meta.url))

if (missing('timeSkipping').length === 0 && missing('postgres').length === 0) {
  process.env.TIDEMARK_TEST_SERVER = part('timeSkipping').path
  process.env.TIDEMARK_TEST_DATABASE = part('postgres').connectionString
  // Inside of this checkout, which is the package that it imports.
  const folder = mkdtempSync(join(root, '.try-'))
  afterAll(() => rmSync(folder, { recursive: true }))
  for (const from of ['common', 'kafka']) cpSync(join(root, 'templates', from), folder, { recursive: true })
  await import(join(folder, 'billing.test.ts'))
}
