import { afterEach, beforeEach, expect, it } from 'vitest'
import type { StoppedPartition } from '../../../src/model/commands.js'
import { BackgroundLooks } from '../../../src/monitoring/background-looks.js'
import { HeldPartitions } from '../../../src/monitoring/held-partitions.js'
import { virtualTime } from '../../support/virtual-time.js'

const name = { group: 'billing', stream: 'orders' }
const second = 1_000
let held: HeldPartitions
/** What the slice says. */
let stopped: StoppedPartition[]
let isAway: boolean
let looks: BackgroundLooks

beforeEach(() => {
  virtualTime.begin()
  held = new HeldPartitions({ initialIntervalMs: 1_000, maximumIntervalMs: 60_000, backoff: 2 })
  isAway = false
  looks = new BackgroundLooks({ name, held, firstTimes: new Map() } as never, {
    source: { bounds: async () => new Map() },
    records: { read: async () => ({ slices: 4 }) as never },
    cluster: {
      look: async (id) => {
        if (isAway) throw new Error('Temporal is away')
        return { memo: { stopped: id === 'tidemark/billing/orders/3' ? stopped : [] } } as never
      },
    },
  })
  held.blocked(3, 7n)
  stopped = [saysBlocked()]
})
afterEach(virtualTime.end)

const saysBlocked = (): StoppedPartition => ({
  partition: 3,
  condition: 'blocked',
  reason: '',
  since: new Date().toISOString(),
})

/** Scrapes for so long. */
async function scrape(ms: number) {
  for (let passed = 0; passed < ms; passed += 5 * second) {
    looks.begin()
    await virtualTime.pass(5 * second)
  }
}
const isShown = () => held.views().length > 0

it('a blocked partition stays as long as its slice says so', async () => {
  await scrape(60 * second)
  expect(isShown()).toBe(true)
})

it('a blocked partition goes when its slice works it again', async () => {
  await scrape(20 * second)
  stopped = []
  await scrape(20 * second)
  expect(isShown()).toBe(false)
})

it('a blocked partition goes when it has stopped again on another worker', async () => {
  await scrape(30 * second)
  stopped = [saysBlocked()]
  await scrape(20 * second)
  expect(isShown()).toBe(false)
})

it('a blocked partition stays right after it was blocked, when its slice may not know', async () => {
  stopped = []
  await scrape(10 * second)
  expect(isShown()).toBe(true)
})

it('a blocked partition stays while Temporal does not answer', async () => {
  stopped = []
  isAway = true
  await scrape(60 * second)
  expect(isShown()).toBe(true)
})
