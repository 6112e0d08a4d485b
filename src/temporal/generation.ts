import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../../', import.meta.url))

/** The workflows as the package ships them. A checkout has none: see `workflowBundle`. */
export const shippedBundle = join(root, 'workflow-bundle.js')

let generation: Promise<string> | undefined

/**
 * Names the workflow code of this build of Tidemark: a digest, equal in every copy of the build. Workflows are replayed by their own code
 * only, so their task queues carry it.
 */
export function workflowGeneration(): Promise<string> {
  generation ??= digest()
  return generation
}

/** Of the shipped bundle; in a checkout of everything the bundle is made from: the workflows, the model, and the SDK's version. */
async function digest(): Promise<string> {
  const hash = createHash('sha256')
  if (existsSync(shippedBundle)) hash.update(await readFile(shippedBundle))
  else {
    for (const folder of ['workflows', 'src/model'])
      for (const file of (await readdir(join(root, folder))).sort())
        hash.update(file).update(await readFile(join(root, folder, file)))
    hash.update(await readFile(join(root, 'package.json')))
  }
  return hash.digest('hex').slice(0, 12)
}
