import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { ParsedConsumer } from '../../src/config/parse.js'
import type { GroupRecord, Stop } from '../../src/ports/index.js'
import type { GroupWorkflow } from '../../src/temporal/group-workflow.js'
import { Watchdog } from '../../src/worker/watchdog.js'

const name = { group: 'bank', stream: 'orders' }
const consumer = { settings: name, version: 'v1' } as unknown as ParsedConsumer
const minute = 60_000

/** One group in a Temporal that does what the test says. */
class World {
  workflow: GroupWorkflow | null = null
  stopped: Stop | null = null
  starts = 0
  stops = 0
  startable = true
  /** Temporal answers. */
  there = true
  /** Its workflow is another build's, and has no worker. */
  stranded = false
  readonly warnings: string[] = []
  readonly news: string[] = []
  readonly watchdog = new Watchdog([consumer], {
    look: async () => {
      if (!this.there) throw new Error('no connection')
      return this.workflow
    },
    records: { read: async () => this.#record() },
    stop: async (_, { state }) => {
      this.stops++
      this.stopped = { how: state === 'cancelled' ? state : 'terminated', by: 'Temporal', why: '', at: new Date(0) }
      return this.#record()
    },
    start: async () => {
      this.starts++
      if (!this.startable) throw new Error('no such namespace')
      return true
    },
    endStranded: async () => this.stranded,
    log: {
      debug: () => {},
      info: (_, text) => void this.news.push(text),
      error: () => {},
      warn: (_, text) => void this.warnings.push(text),
    },
  })

  is(state: GroupWorkflow['state'] | 'missing', runId = 'a', why = ''): Promise<void> {
    const rest = { firstRunId: runId, taskQueue: 'queue', endedAt: null, result: null }
    this.workflow = state === 'missing' ? null : { state, runId, why, ...rest }
    return this.watchdog.look()
  }

  #record(): GroupRecord {
    const paused = { group: null, partitions: new Map() }
    return { ...name, slices: 16, generation: 1, partitions: [0], stopped: this.stopped, paused }
  }
}

describe('watchdog', () => {
  let world: World
  beforeEach(() => {
    vi.useFakeTimers()
    world = new World()
  })
  afterEach(() => {
    vi.useRealTimers()
  })

  it.each(['missing', 'failed'] as const)('starts a group again that ran and is %s', async (state) => {
    await world.is('running')
    await world.is(state, 'a', 'its workflow timed out')
    expect(world.starts).toBe(1)
    const why = state === 'failed' ? 'its workflow timed out' : 'its workflow is not in Temporal'
    expect(world.warnings).toEqual([`group bank on orders did not run any more (${why}): started again`])
  })

  it.each(['missing', 'failed', 'terminated'] as const)(
    'leaves a %s group alone that it never saw running',
    async (state) => {
      await world.is(state)
      expect(world).toMatchObject({ starts: 0, stops: 0, warnings: [] })
    },
  )

  it('waits 1, 2, 4 minutes where a group keeps failing', async () => {
    await world.is('running')
    await world.is('failed', 'a')
    for (const [index, pause] of [1, 2, 4].entries()) {
      await world.is('failed', `b${index}`)
      vi.advanceTimersByTime(pause * minute - 1)
      await world.watchdog.look()
      expect(world.starts).toBe(index + 1)
      vi.advanceTimersByTime(1)
      await world.watchdog.look()
      expect(world.starts).toBe(index + 2)
    }
  })

  it('never waits longer than 32 minutes', async () => {
    await world.is('running')
    for (let failure = 0; failure < 12; failure++) {
      const before = world.starts
      await world.is('failed', `a${failure}`)
      vi.advanceTimersByTime(32 * minute)
      await world.watchdog.look()
      expect(world.starts).toBe(before + 1)
    }
  })

  it('waits longer each time, too, where it can not be started', async () => {
    world.startable = false
    await world.is('running')
    await world.is('missing')
    await world.watchdog.look()
    expect(world.starts).toBe(1)
    expect(world.warnings).toEqual([expect.stringContaining('could not be started again yet')])
    vi.advanceTimersByTime(minute)
    await world.watchdog.look()
    expect(world.starts).toBe(2)
  })

  it('takes a group for sound again once it has run for a while', async () => {
    await world.is('running')
    await world.is('failed', 'a')
    await world.is('running', 'b')
    vi.advanceTimersByTime(10 * minute)
    await world.watchdog.look()
    await world.is('failed', 'b')
    expect(world.starts).toBe(2)
  })

  it('does not add up short runs to take a group for sound', async () => {
    await world.is('running')
    await world.is('failed', 'a')
    for (const run of ['b', 'c']) {
      await world.is('running', run)
      vi.advanceTimersByTime(6 * minute)
      await world.watchdog.look()
      await world.is('failed', run)
      vi.advanceTimersByTime(minute - 1)
      await world.watchdog.look()
    }
    expect(world.starts).toBe(1)
  })

  it('looks again after a look that Temporal did not answer', async () => {
    await world.is('running')
    world.there = false
    await world.is('missing')
    expect(world.starts).toBe(0)
    world.there = true
    await world.watchdog.look()
    expect(world.starts).toBe(1)
  })

  it('says that Temporal does not answer, and again a minute later, since nobody else may notice', async () => {
    await world.is('running')
    world.there = false
    for (let look = 0; look < 4; look++) {
      await world.watchdog.look()
      vi.advanceTimersByTime(minute / 3)
    }
    const told = expect.stringContaining("looking after this worker's groups is interrupted")
    expect(world.warnings).toEqual([told, told])
    world.there = true
    await world.watchdog.look()
    expect(world.news).toEqual(["looking after this worker's groups goes on"])
  })

  it('starts a group at once that runs for another build of Tidemark without workers', async () => {
    await world.is('running')
    expect(world.starts).toBe(0)
    world.stranded = true
    await world.watchdog.look()
    expect(world).toMatchObject({ starts: 1, stops: 0 })
    expect(world.warnings).toEqual([expect.stringContaining('had no worker that could go on with its workflow')])
    // Nor does it count as a failure.
    world.stranded = false
    await world.is('failed', 'b')
    expect(world.starts).toBe(2)
  })

  it.each(['terminated', 'cancelled'] as const)('writes down once that a person has %s a group', async (state) => {
    await world.is('running')
    await world.is(state)
    await world.watchdog.look()
    expect(world).toMatchObject({ starts: 0, stops: 1 })
    expect(world.warnings).toEqual([
      expect.stringMatching(
        `^group bank on orders was ${state} in Temporal by a person .*'tidemark resume --group bank `,
      ),
    ])
  })

  it('keeps a stopped group stopped after Temporal has forgotten it', async () => {
    await world.is('running')
    await world.is('terminated')
    await world.is('missing')
    expect(world.starts).toBe(0)
    expect(world.warnings).toHaveLength(1)
  })

  it('starts a group whose stop a person has ended', async () => {
    await world.is('running')
    await world.is('terminated')
    world.stopped = null
    await world.watchdog.look()
    expect(world).toMatchObject({ starts: 1, stops: 1 })
  })

  it('does not start a bounded run again that has finished, nor after Temporal has forgotten it', async () => {
    await world.is('running')
    await world.is('finished')
    await world.is('missing')
    expect(world.starts).toBe(0)
  })

  it('ends at once with its signal', async () => {
    vi.useRealTimers()
    const ending = new AbortController()
    const running = world.watchdog.run(ending.signal)
    ending.abort()
    await running
  })
})
