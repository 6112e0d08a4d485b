import { describe, expect, it, vi } from 'vitest'
import { applyResetIn } from '../../src/client/apply.js'
import type { PositionPlan } from '../../src/client/plan.js'
import type { Session } from '../../src/client/session.js'
import { TidemarkError } from '../../src/model/errors.js'
import type { NewPosition, Progress } from '../../src/ports/index.js'

const plan = {
  group: 'billing',
  stream: 'orders',
  kind: 'reset',
  identities: new Map(),
  moves: [0, 1].map((partition) => ({ partition, from: 9n, to: 0n })),
} as unknown as PositionPlan

/** A session whose store answers as told; nobody runs the group. */
function sessionWith(
  reset: (partition: number, change: NewPosition) => void,
  progress: Progress | null = null,
  begin: () => Promise<void> = async () => {},
) {
  const parts = {
    config: { consumers: [{ settings: { group: 'billing', stream: 'orders' } }], temporal: {} },
    store: async () => ({
      reset: async ({ partition }: { partition: number }, change: NewPosition) => reset(partition, change),
    }),
    progressDatabase: async () => ({ progress: { read: async () => progress, begin } }),
    temporal: async () => ({ workflow: { getHandle: () => ({ signal: async () => {} }) } }),
  }
  return parts as unknown as Session
}

describe('a reset', () => {
  it("begins a replay above that of handlers' progress, which a store that was emptied does not know", async () => {
    const above: unknown[] = []
    const token = { epoch: 7, batch: 1, attempt: 1 }
    const progress: Progress = { position: 9n, identity: null, witness: null, replay: 3, token }
    const session = sessionWith((_, change) => void above.push(change.replayAbove), progress)
    await applyResetIn(session, plan)
    expect(above).toEqual([3, 3])
  })

  it('whose answer was lost says that it may have happened', async () => {
    const session = sessionWith((partition) => {
      if (partition === 1) throw new TidemarkError('UNREACHABLE', 'connection lost')
    })
    await expect(applyResetIn(session, plan)).rejects.toThrow(
      'only partition 0 of billing on orders is changed, except perhaps partition 1, whose answer was lost',
    )
  })

  it('of a partition that was taken up since it was planned is refused', async () => {
    const asked: unknown[] = []
    const session = sessionWith(() => {})
    const store = { ...(await session.store()), resetIf: async (_: object, seen: object) => void asked.push(seen) }
    const seen = new Map([[0, { epoch: 7, replay: 1 }]])
    await expect(
      applyResetIn({ ...session, store: async () => store } as unknown as Session, { ...plan, seen }),
    ).rejects.toMatchObject({
      code: 'GROUP_ACTIVE',
      message: expect.stringContaining('orders[0] of group billing was taken up meanwhile'),
    })
    expect(asked).toEqual([{ epoch: 7, replay: 1 }])
  })

  it('that the store refuses did not happen', async () => {
    const begin = vi.fn(async () => {})
    const refuse = () => {
      throw new TidemarkError('AUTH_FAILED', 'no right to write')
    }
    await expect(applyResetIn(sessionWith(refuse, null, begin), plan)).rejects.toThrow(
      'nothing was changed: no right to write',
    )
    // Progress that is missing would count, too.
    expect(begin).not.toHaveBeenCalled()
  })
})
