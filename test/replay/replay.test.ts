import { readdirSync, readFileSync } from 'node:fs'
import { copyFile, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DefaultLogger, Runtime, Worker } from '@temporalio/worker'
import { beforeAll, describe, expect, it } from 'vitest'
import { replayHistories } from '../../src/testing/replay.js'
import { workflowBundle } from '../../src/worker/bundle.js'
import { scenarios } from './scenarios.js'

const folder = new URL('./histories/', import.meta.url)
const recorded = readdirSync(folder)

describe('workflows that began with an older Tidemark', () => {
  beforeAll(() => void Runtime.install({ logger: new DefaultLogger('ERROR') }))

  it.each(recorded)('go on with this one: %s', async (file) => {
    const history = JSON.parse(readFileSync(new URL(file, folder), 'utf8'))
    await Worker.runReplayHistory({ workflowBundle: await workflowBundle() }, history)
  })

  it('replayHistories replays a folder of them, and names those that do not go on', async () => {
    const some = await mkdtemp(join(tmpdir(), 'tidemark-histories-'))
    try {
      await expect(replayHistories(some)).rejects.toThrow(`there is no .json file in ${some}`)
      const [first, second] = recorded
      await copyFile(new URL(first!, folder), join(some, first!))
      expect(await replayHistories(some)).toEqual([first])
      const other = readFileSync(new URL(second!, folder), 'utf8').replaceAll(
        /"name": ?"(open|enroll)"/g,
        '"name":"commit"',
      )
      await writeFile(join(some, 'other.json'), other)
      await expect(replayHistories(some)).rejects.toThrow(/1 of 2 histories in .* do not replay:\nother.json: /)
    } finally {
      await rm(some, { recursive: true })
    }
  })

  it('are recorded for every scenario', () => {
    for (const name of Object.keys(scenarios)) expect(recorded.some((file) => file.startsWith(`${name}.`))).toBe(true)
  })

  it('would fail when a workflow did something else', async () => {
    const history = JSON.parse(
      readFileSync(new URL(recorded.find((file) => file.startsWith('slice-batches-rest-and-wake'))!, folder), 'utf8'),
    )
    for (const event of history.events) {
      const scheduled = event.activityTaskScheduledEventAttributes
      if (scheduled?.activityType.name === 'commit') scheduled.activityType.name = 'process'
    }
    await expect(Worker.runReplayHistory({ workflowBundle: await workflowBundle() }, history)).rejects.toThrow(
      /[Nn]ondeterminism/,
    )
  })
})
