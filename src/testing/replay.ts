import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Worker } from '@temporalio/worker'
import { messageOf, TidemarkError } from '../model/errors.js'
import { workflowBundle } from '../worker/bundle.js'

/**
 * Replays the histories in a folder with this build's workflows: `.json` files, as the Temporal UI and `temporal workflow show --output
 * json` write them. A history that this build would not continue as it began makes it throw.
 *
 * @returns the names of the files that were replayed
 * @throws Error naming the files that failed, and why; TidemarkError CONFIG_INVALID for a folder without histories
 */
export async function replayHistories(folder: string): Promise<readonly string[]> {
  const files = (await readdir(folder)).filter((file) => file.endsWith('.json')).sort()
  if (files.length === 0)
    throw new TidemarkError('CONFIG_INVALID', `replayHistories: there is no .json file in ${folder}`)
  const bundle = await workflowBundle()
  const failed: string[] = []
  for (const file of files) {
    try {
      const history: unknown = JSON.parse(await readFile(join(folder, file), 'utf8'))
      await Worker.runReplayHistory({ workflowBundle: bundle }, history)
    } catch (error) {
      failed.push(`${file}: ${messageOf(error)}`)
    }
  }
  if (failed.length > 0)
    throw new Error(`${failed.length} of ${files.length} histories in ${folder} do not replay:\n${failed.join('\n')}`)
  return files
}
