import { beforeEach, describe, expect, it } from 'vitest'
import type { MirroredOffset, OffsetStoreClient, StoredOffset } from '../../src/ports/index.js'
import { mayOverwrite } from '../../src/storing/foreign.js'
import { MirroredStore } from '../../src/worker/mirrored-store.js'
import { keptLog } from '../support/consume.js'
import { waitFor } from '../support/wait-for.js'

const key = { group: 'g', stream: 's', partition: 0 }
const row: StoredOffset = { ...key, position: 10n, epoch: 3, replay: 1, identity: null, updatedAt: new Date(0) }

describe('a store with mirrors', () => {
  let shown: MirroredOffset[]
  let broken: Error | null
  let theirs: bigint | null
  let release: (() => void) | null
  let now: number
  let log: ReturnType<typeof keptLog>
  let store: MirroredStore

  beforeEach(() => {
    shown = []
    broken = null
    theirs = null
    release = null
    now = 1_000
    log = keptLog()
    const primary = {
      open: async () => row,
      reset: async () => ({ ...row, position: 2n, replay: 2 }),
      read: async () => [row],
      commit: async (_: unknown, { epoch }: { epoch: number }) =>
        epoch === 3 ? { outcome: 'committed' } : { outcome: 'stale', epoch: 3, position: 10n, replay: 1 },
    } as unknown as OffsetStoreClient
    const mirror = {
      read: async () => [],
      foreign: async () => (theirs === null ? [] : [{ partition: 0, position: theirs }]),
      claim: async () => {
        theirs = null
      },
      assert: async (offset: MirroredOffset) => {
        if (release) await new Promise<void>((resolve) => (release = resolve))
        if (broken) throw broken
        if (!mayOverwrite(theirs, offset)) return theirs
        shown.push(offset)
        return null
      },
    }
    store = new MirroredStore(primary, [mirror], log, () => now)
  })
  const positions = () => shown.map(({ position }) => position)

  it('shows what was opened, committed and reset, after the store has it', async () => {
    await store.open(key, { above: 0, start: 0n })
    await store.close()
    await store.commit(key, { epoch: 3, position: 20n, replay: 1 })
    await store.close()
    await store.reset(key, { kind: 'reset', to: 2n, by: 'me', why: '' })
    await store.close()
    expect(shown).toEqual([
      { ...key, position: 10n, epoch: 3, replay: 1, handled: false },
      { ...key, position: 20n, epoch: 3, replay: 1, handled: true },
      { ...key, position: 2n, epoch: 3, replay: 2, handled: false },
    ])
  })

  it('does not show what the store refused', async () => {
    await store.commit(key, { epoch: 2, position: 20n })
    await store.close()
    expect(shown).toEqual([])
  })

  it('does not keep a commit waiting, and shows the latest of those that came meanwhile', async () => {
    release = () => {}
    await store.commit(key, { epoch: 3, position: 20n })
    await store.commit(key, { epoch: 3, position: 30n })
    await store.commit(key, { epoch: 3, position: 40n })
    const let1 = await waitFor(() => release, { what: 'the first' })
    release = null
    let1()
    await store.close()
    expect(positions().at(-1)).toBe(40n)
    expect(positions().length).toBeLessThan(3)
  })

  it('goes on without a mirror that fails, says so once, and shows the offset when asked to keep it', async () => {
    broken = new Error('the group has members: plain@host')
    await store.commit(key, { epoch: 3, position: 20n })
    await store.close()
    await store.commit(key, { epoch: 3, position: 21n })
    await store.close()
    expect(log.lines.filter((line) => line.includes('plain@host'))).toHaveLength(1)
    broken = null
    await store.keep(key)
    await store.close()
    expect(positions()).toEqual([10n])
    expect(log.lines.at(-1)).toContain('mirroring offsets goes on')
  })

  it('shows an idle offset again after half an hour, and not before', async () => {
    await store.keep(key)
    await store.close()
    now += 29 * 60_000
    await store.keep(key)
    await store.close()
    expect(shown).toHaveLength(1)
    now += 60_000
    await store.keep(key)
    await store.close()
    expect(shown).toHaveLength(2)
  })

  const foreignLines = () => log.lines.filter((line) => line.includes('another consumer has left offsets'))
  const commit = async (position: bigint) => {
    await store.commit(key, { epoch: 3, position, replay: 1 })
    await store.close()
  }

  it("leaves another consumer's offset alone until the group has handled past it, and says so once", async () => {
    theirs = 90n
    await store.open(key, { above: 0, start: 0n })
    await commit(50n)
    expect(shown).toEqual([])
    expect(foreignLines()).toEqual([
      expect.stringContaining('as group g on s: partition 0 at 90. Tidemark does not begin there'),
    ])
    expect(foreignLines()[0]).toContain("'tidemark adopt --group g --stream s'")
    expect(foreignLines()[0]).toContain("'tidemark start --overwrite-offsets'")
    await commit(91n)
    expect(positions()).toEqual([91n])
    expect(foreignLines()).toHaveLength(1)
  })

  it('does not take the beginning of a group for handled, nor a commit that repeats it', async () => {
    theirs = 5n
    await store.open(key, { above: 0, start: 0n })
    await commit(10n)
    expect(shown).toEqual([])
    await commit(11n)
    expect(positions()).toEqual([11n])
  })

  it('remembers what was handled when an offset is shown again, until a reset', async () => {
    broken = new Error('the group has members')
    await commit(10n)
    broken = null
    theirs = 5n
    await store.keep(key)
    await store.close()
    expect(positions()).toEqual([10n])
    theirs = 1n
    await store.reset(key, { kind: 'reset', to: 2n, by: 'me', why: '' })
    await store.close()
    expect(positions()).toEqual([10n])
  })

  it("tells of other consumers' offsets before anything is opened, unless the group stands there", async () => {
    theirs = 10n
    await store.lookForForeign(key)
    expect(foreignLines()).toHaveLength(0)
    theirs = 90n
    await store.lookForForeign(key)
    await store.lookForForeign(key)
    expect(foreignLines()).toHaveLength(1)
  })

  it('overwrites what was claimed', async () => {
    theirs = 90n
    await store.claimForeign(key)
    await store.open(key, { above: 0, start: 0n })
    await store.close()
    expect(positions()).toEqual([10n])
    expect(foreignLines()).toHaveLength(0)
  })
})
