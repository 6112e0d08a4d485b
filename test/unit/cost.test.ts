import { describe, expect, it } from 'vitest'
import { costOf, costText } from '../../src/cli/cost.js'
import { type CostSettings, dollarsPerMonth, groupActions } from '../../src/client/cost.js'
import { consumer, defineConfig } from '../../src/config/define.js'
import type { ConsumerOptions } from '../../src/config/options.js'
import { parseConfig } from '../../src/config/parse.js'
import { kafka } from '../../src/entry/kafka.js'
import { postgresStore } from '../../src/entry/postgres.js'
import type { ConsumerSettings } from '../../src/model/settings.js'

/** The settings of a consumer as a config has them, so that the defaults are those of users. */
function settings(options: Partial<ConsumerOptions> = {}): ConsumerSettings {
  const source = kafka({ brokers: ['127.0.0.1:9092'], topic: 'orders' })
  const consumers = [consumer({ group: 'billing', source, handler: async () => {}, ...options })]
  const store = postgresStore({ connectionString: 'postgres://127.0.0.1/none' })
  return parseConfig(defineConfig({ store, consumers })).consumers[0]!.settings
}

describe('the cost of a group', () => {
  it('at rest is one activity an hour and a heartbeat every 8 s, however many partitions it has', () => {
    // 1 + 3600 / 8 = 451 an hour
    for (const partitions of [1, 12, 256, 1_024])
      expect(groupActions(settings(), partitions).restPerMinute).toBeCloseTo(451 / 60)
  })

  it('while busy adds two batches a minute for each slice, each of a process, a commit and four heartbeats', () => {
    // Heartbeats of a batch of 30 s: after 0, 8, 16 and 24 s. 16 slices * 2 * (1 + 1 + 4) = 192
    const actions = groupActions(settings(), 256)
    expect(actions).toMatchObject({ slices: 16, busySlicePerMinute: 12 })
    expect(actions.busyPerMinute).toBeCloseTo(451 / 60 + 192)
  })

  it('follows the heartbeat timeout, but no heartbeat is later than 60 s', () => {
    // Every 48 s: 75 an hour; one at the beginning of a batch of 30 s
    expect(groupActions(settings({ heartbeatTimeout: '60s' }), 4)).toMatchObject({
      restPerMinute: 76 / 60,
      busySlicePerMinute: 6,
    })
    expect(groupActions(settings({ heartbeatTimeout: '10m' }), 4)).toMatchObject({
      heartbeatEveryMs: 60_000,
      restPerMinute: 61 / 60,
    })
  })

  it('follows the length of a batch', () => {
    // A process, a commit, and heartbeats after 0, 8, ... 112 s, in 2 minutes: (1 + 1 + 15) / 2
    expect(groupActions(settings({ batch: { maxDuration: '2m' } }), 4).busySlicePerMinute).toBe(8.5)
  })

  it('has no commits where the offset is committed inside the batch', () => {
    const actions: CostSettings = { ...settings(), commit: { after: 'interval', intervalMs: 5_000 } }
    expect(groupActions(actions, 4)).toMatchObject({ batch: { commit: 0 }, busySlicePerMinute: 10 })
  })

  it('counts only slices that have partitions', () => {
    expect(groupActions(settings(), 4).slices).toBe(4)
    expect(groupActions(settings(), 2_000).slices).toBe(64)
    expect(groupActions(settings({ slices: 3 }), 256).slices).toBe(3)
  })

  it('is so many dollars a month of 730 hours', () => {
    // 10 * 60 * 730 = 438,000 actions
    expect(dollarsPerMonth(10, 50)).toBeCloseTo(21.9)
    expect(dollarsPerMonth(10, 25)).toBeCloseTo(10.95)
  })

  it('is rounded to cents for scripts, with the settings that it follows from', () => {
    // 7.5167 * 43,800 * 50 / 1,000,000 = 16.46; 199.5167 * 2.19 = 436.94
    expect(costOf(settings(), 256, 50)).toMatchObject({
      group: 'billing',
      stream: 'orders',
      partitions: 256,
      slices: 16,
      rest: { actionsPerMinute: 7.52, dollarsPerMonth: 16.46 },
      busy: { actionsPerMinute: 199.52, dollarsPerMonth: 436.94 },
      computedFrom: { pricePerMillion: 50, heartbeatTimeoutMs: 10_000, maxDurationMs: 30_000, slices: 'default' },
    })
  })

  it('is shown to people as computed, with the settings that it follows from', () => {
    const text = costText([costOf(settings({ slices: 8 }), 256, 50)], 50)
    expect(text).toContain('Computed from settings, not measured.')
    expect(text).toMatch(/billing +orders +256 +8 +7\.5 +\$16\.46 /)
    expect(text).toContain('every 8s (heartbeatTimeout 10s)')
    expect(text).toContain('8 slices (slices: 8)')
  })
})
