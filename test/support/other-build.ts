import { cp, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../../', import.meta.url))
const copied = ['src', 'workflows', 'activities', 'package.json']

/** Another build of Tidemark: a copy of this checkout with workflows that can't replay the histories of these ones. */
export interface OtherBuild {
  /** Ends in a slash. */
  readonly folder: string
  remove(): Promise<void>
}

/** Workflows of this build do something that those of the checkout don't, right at their beginning: they wait for a timer. */
export async function otherBuild(): Promise<OtherBuild> {
  const folder = await mkdtemp(join(tmpdir(), 'tidemark-build-'))
  for (const name of copied) await cp(join(root, name), join(folder, name), { recursive: true })
  await symlink(join(root, 'node_modules'), join(folder, 'node_modules'), 'dir')
  await addTimer(join(folder, 'workflows/slice.ts'), '  while (!over()) {\n')
  await addTimer(join(folder, 'workflows/group.ts'), '    await begin(group)\n')
  return { folder: `${folder}/`, remove: () => rm(folder, { recursive: true, force: true }) }
}

async function addTimer(file: string, before: string): Promise<void> {
  const text = await readFile(file, 'utf8')
  if (!text.includes(before))
    throw new Error(`${file} has no line '${before.trim()}' any more: the other build would be the same`)
  const wait = `  await CancellationScope.nonCancellable(() => sleep(1))\n${before}`
  await writeFile(file, `import { sleep } from '@temporalio/workflow'\n${text.replace(before, wait)}`)
}
