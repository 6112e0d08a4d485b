import { startStack } from '../../src/local/stack.js'
import { bringUpToDate } from '../support/built.js'
import { options } from './options.js'
import { scenarios } from './scenarios.js'
import { Stage } from './stage.js'

/*
 * The long proof: real servers that really write to disk, half a million messages, workers killed and frozen, wires cut and slow.
 */
bringUpToDate()
const stack = await startStack(
  { temporal: true, postgres: true, kafka: true },
  { onProgress: (text) => void process.stderr.write(`${text}\n`) },
)
const stage = new Stage(options, stack)
const failed: string[] = []
try {
  stage.say(`seed ${options.seed}; Temporal UI ${stack.temporal.uiUrl}`)
  for (const [name, play] of Object.entries(scenarios))
    if ((options.only ?? name) === name && !(await play(stage))) failed.push(name)
} finally {
  await stack.stop()
}
if (failed.length > 0) stage.say(`failed: ${failed.join(', ')}`)
process.exit(failed.length > 0 ? 1 : 0)
