import { expect, it } from 'vitest'
import type { Session } from '../../src/client/session.js'
import { standingOf } from '../../src/client/standing.js'
import type { ParsedConsumer } from '../../src/config/parse.js'

const consumer = { settings: { group: 'billing', stream: 'orders' } } as unknown as ParsedConsumer

it.each([
  ['nothing is known', null, null, null],
  ['only the store knows', { position: 5n, replay: 1 }, null, 5n],
  ['only the handlers know', null, { position: 9n, replay: 0 }, 9n],
  ['the handlers are ahead of what is committed', { position: 5n, replay: 1 }, { position: 9n, replay: 1 }, 9n],
  ['they are not', { position: 9n, replay: 1 }, { position: 5n, replay: 1 }, 9n],
  ['it was reset since they worked', { position: 5n, replay: 2 }, { position: 9n, replay: 1 }, 5n],
  ['the store was set back', { position: 9n, replay: 1 }, { position: 5n, replay: 2 }, 5n],
])('a partition stands where its handlers go on: %s', async (_, stored, done, position) => {
  const session = {
    store: async () => ({ read: async () => (stored ? [{ ...stored, partition: 3, epoch: 7 }] : []) }),
    progressDatabase: async () => ({ progress: { read: async () => done } }),
  } as unknown as Session
  const seen = stored && { epoch: 7, replay: stored.replay }
  expect(await standingOf(session, consumer, 3)).toEqual({ position, seen })
})
