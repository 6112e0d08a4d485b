import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../../', import.meta.url))

/** The workflows as the package ships them. A checkout has none: see `workflowBundle`. */
export const shippedBundle = join(root, 'workflow-bundle.js')

/** What the build has written down of the sources that it was made from. */
export const shippedGeneration = join(root, 'workflow-generation')

let generation: Promise<string> | undefined

/**
 * Names this build of Tidemark by its workflow code: a digest, equal wherever the same code was built, and for a checkout and what is built
 * from it. Workflows are replayed by their own code only, so their task queues carry it.
 */
export function workflowGeneration(): Promise<string> {
  generation ??= existsSync(shippedGeneration) ? readFile(shippedGeneration, 'utf8') : digestOf(root)
  return generation
}

/**
 * Of what the workflows are bundled from, and the package's and the SDK's versions. Not of the bundle, which names folders of its machine,
 * nor of what a compiler has made of it.
 *
 * @param checkout the folder of the sources
 */
export async function digestOf(checkout: string): Promise<string> {
  const hash = createHash('sha256')
  for (const folder of ['workflows', 'src/model'])
    for (const file of (await readdir(join(checkout, folder), { recursive: true })).filter(isCode).sort())
      hash.update(file).update(await readFile(join(checkout, folder, file)))
  hash.update(await readFile(createRequire(import.meta.url).resolve('tidemark/package.json')))
  return hash.digest('hex').slice(0, 12)
}

function isCode(file: string): boolean {
  return /\.[jt]s$/.test(file) && !file.endsWith('.d.ts')
}
