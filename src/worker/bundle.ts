import { createHash, randomUUID } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, readdir, readFile, rename, writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { bundleWorkflowCode, type WorkflowBundleOption } from '@temporalio/worker'

const root = fileURLToPath(new URL('../../', import.meta.url))

/**
 * The workflow code, as one file for the workflow sandbox. The package ships it; a checkout makes it (1.5 s) and keeps it
 * under a name that changes with the code.
 */
export async function workflowBundle(): Promise<WorkflowBundleOption> {
  const shipped = `${root}workflow-bundle.js`
  if (existsSync(shipped)) return { codePath: shipped }
  const folder = `${root}node_modules/.cache/tidemark`
  const codePath = `${folder}/workflows-${await digest()}.js`
  if (!existsSync(codePath)) {
    const { code } = await bundleWorkflowCode({ workflowsPath: `${root}workflows/index.ts`, logger: quiet })
    await mkdir(folder, { recursive: true })
    // Threads of one process may be at it at the same time, and have one number.
    const half = `${codePath}.${randomUUID()}`
    await writeFile(half, code)
    await rename(half, codePath)
  }
  return { codePath }
}

/** Of everything the bundle is made from: the workflows, the model, and the SDK's version. */
async function digest(): Promise<string> {
  const hash = createHash('sha256')
  for (const folder of ['workflows', 'src/model'])
    for (const file of (await readdir(`${root}${folder}`)).sort())
      hash.update(file).update(await readFile(`${root}${folder}/${file}`))
  hash.update(await readFile(`${root}package.json`))
  return hash.digest('hex').slice(0, 16)
}

const silent = () => {}
const quiet = { log: silent, trace: silent, debug: silent, info: silent, warn: console.warn, error: console.error }
