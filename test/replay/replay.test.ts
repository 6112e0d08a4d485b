import { readdirSync, readFileSync } from 'node:fs'
import { DefaultLogger, Runtime, Worker } from '@temporalio/worker'
import { beforeAll, describe, expect, it } from 'vitest'
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
