import { randomUUID } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, rename, writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import type { WorkflowBundleOption } from '@temporalio/worker'
import { shippedBundle, workflowGeneration } from '../temporal/generation.js'
import { makeBundle } from './make-bundle.js'

const root = fileURLToPath(new URL('../../', import.meta.url))

/**
 * The workflow code, as one file for the workflow sandbox. The package ships it; a checkout makes it (1.5 s) and keeps it
 * under a name that changes with the code.
 */
export async function workflowBundle(): Promise<WorkflowBundleOption> {
  if (existsSync(shippedBundle)) return { codePath: shippedBundle }
  const folder = `${root}node_modules/.cache/tidemark`
  const codePath = `${folder}/workflows-${await workflowGeneration()}.js`
  if (!existsSync(codePath)) {
    const code = await makeBundle(`${root}workflows/index.ts`)
    await mkdir(folder, { recursive: true })
    // Threads of one process may be at it at the same time, and have one number.
    const half = `${codePath}.${randomUUID()}`
    await writeFile(half, code)
    await rename(half, codePath)
  }
  return { codePath }
}
