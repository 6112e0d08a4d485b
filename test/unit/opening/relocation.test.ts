import { describe, expect, it } from 'vitest'
import { whyMisplaced } from '../../../activities/opening/relocation.js'
import type { Bounds, SourceClient } from '../../../src/ports/index.js'

const key = { group: 'g', stream: 's', partition: 2 }

function judge(position: bigint, bounds: Bounds, more: { sparse?: boolean; of?: string; now?: string } = {}) {
  const source = {
    bounds: async () => new Map([[key.partition, bounds]]),
    ...(more.sparse ? { sparse: true } : {}),
  } as unknown as SourceClient
  return whyMisplaced({ source }, key, { position, identity: more.of ?? null }, more.now ?? null)
}

describe('a stored position', () => {
  const log = { first: 10n, head: 50n }

  it.each([10n, 30n, 50n])('%s is in a log from 10 to 50', async (position) => {
    expect(await judge(position, log)).toBeNull()
  })

  it('before the log was deleted by retention, and the loss is counted', async () => {
    expect(await judge(7n, log)).toContain('retention has deleted 3 offsets that were not handled yet')
  })

  it('beyond the head is in a log that lost messages, or another one', async () => {
    expect(await judge(51n, log)).toContain('position 51 is beyond the log: the log goes from 10 to 50')
  })

  it('of another incarnation means nothing, wherever it is', async () => {
    expect(await judge(30n, log, { of: 'a', now: 'b' })).toContain('was deleted; another one of the same name')
    expect(await judge(30n, log, { of: 'a', now: 'a' })).toBeNull()
    // One of the two does not say.
    expect(await judge(30n, log, { of: 'a' })).toBeNull()
    expect(await judge(30n, log, { now: 'b' })).toBeNull()
  })

  it('in a log whose offsets have gaps of any size is not judged by its ends', async () => {
    expect(await judge(7n, log, { sparse: true })).toBeNull()
    expect(await judge(70n, log, { sparse: true })).toBeNull()
  })
})
