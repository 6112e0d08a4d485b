import { type Client, WorkflowNotFoundError } from '@temporalio/client'
import { beforeEach, describe, expect, it } from 'vitest'
import { deleteGroupIn, planDeletionIn } from '../../src/client/delete-group.js'
import { Session } from '../../src/client/session.js'
import { consumer, defineConfig } from '../../src/config/define.js'
import { parseConfig } from '../../src/config/parse.js'
import { memoryStore } from '../../src/memory/store/store.js'
import type { OffsetMirror, Source } from '../../src/ports/index.js'
import { failedLetter } from '../../src/testing/contracts/letters-owner.js'

const name = { group: 'billing', stream: 'orders' }
const key = { ...name, partition: 0 }
const ann = { by: 'ann@desk', why: 'not needed' }

describe('deleting a group', () => {
  /** Workflows that run in Temporal. */
  let running: Set<string>
  let ended: [id: string, reason: string][]
  /** When workers have asked for work, ms since 1970. */
  let polls: { readonly identity: string; readonly at: number }[]
  /** Workers that wait for messages on behalf of the group. */
  let waiting: string[]
  let mirrored: number[]
  let session: Session

  beforeEach(async () => {
    running = new Set(['tidemark/billing/orders', 'tidemark/billing/orders/1'])
    ended = []
    polls = []
    waiting = []
    mirrored = [0, 1]
    const mirror: Pick<OffsetMirror, 'read' | 'delete'> = {
      read: async () => mirrored.map((partition) => ({ partition, position: 7n })),
      delete: async () => void mirrored.splice(0),
    }
    const source = {
      kind: 'kafka',
      stream: 'orders',
      describe: { brokers: 'k:9092' },
      connect: async () => ({ groupOffsets: mirror, close: async () => {} }),
    } as unknown as Source
    const config = defineConfig({
      store: memoryStore(),
      consumers: [consumer({ group: 'billing', source, handler: () => {} })],
    })
    session = new Session(parseConfig(config, {}), async () => temporal())
    const store = await session.store()
    const { groups, progress } = await session.database()
    await store.reset(key, { kind: 'reset', to: 7n, ...ann })
    await groups.ensure(name, { slices: 2, partitions: [0, 1] })
    await progress.begin(key, { position: 9n, replay: 1, identity: null })
  })

  /** As much of Temporal as is asked. */
  function temporal(): Client {
    const getHandle = (id: string) => ({
      describe: async () => {
        const polling = id === 'tidemark/billing/orders' ? waiting : []
        const pendingActivities = polling.map((lastWorkerIdentity) => ({
          activityType: { name: 'poll' },
          state: 2,
          lastWorkerIdentity,
        }))
        if (!running.has(id)) throw new WorkflowNotFoundError('gone', id, undefined)
        return {
          status: { name: 'RUNNING' },
          runId: 'r',
          taskQueue: 'tidemark/workflows@g',
          raw: { pendingActivities },
        }
      },
      terminate: async (reason: string) => {
        if (!running.delete(id)) throw new WorkflowNotFoundError('gone', id, undefined)
        ended.push([id, reason])
      },
    })
    const describeTaskQueue = async () => ({
      pollers: polls.map(({ identity, at }) => ({ identity, lastAccessTime: { seconds: Math.floor(at / 1000) } })),
    })
    return {
      workflow: { getHandle },
      workflowService: { describeTaskQueue },
      options: { namespace: 'default' },
      connection: { close: async () => {} },
    } as unknown as Client
  }

  it('finds all that there is of it, and changes nothing', async () => {
    expect(await planDeletionIn(session, { group: 'billing' })).toEqual([
      {
        ...name,
        offsets: 1,
        letters: 0,
        record: true,
        workflows: ['tidemark/billing/orders', 'tidemark/billing/orders/1'],
        mirrored: { where: 'kafka (brokers k:9092)', offsets: 2, canDelete: true },
        left: [],
      },
    ])
    expect({ ended, left: mirrored.length }).toEqual({ ended: [], left: 2 })
  })

  it('ends its workflows, forgets offsets, progress and record, and leaves what the log shows', async () => {
    const [plan] = await planDeletionIn(session, name)
    await deleteGroupIn(session, plan!, ann)
    expect(ended).toEqual(plan!.workflows.map((id) => [id, 'tidemark: the group was deleted by ann@desk']))
    const store = await session.store()
    const { groups, progress } = await session.database()
    expect(await store.read('billing', 'orders')).toEqual([])
    expect([await groups.read(name), await progress.read(key)]).toEqual([null, null])
    expect(mirrored).toEqual([0, 1])
    expect(await store.history({ ...name, limit: 1 })).toMatchObject([{ kind: 'deleted', partition: null, ...ann }])
  })

  it('says how many dead letters go, and forgets them and the troubles of its partitions', async () => {
    const { letters, progress, troubles } = await session.database()
    const token = { epoch: 1, batch: 1, attempt: 1 }
    await progress.claim(key, token, { from: 9n, replay: 1 })
    await progress.transact(key, token, 9n, 10n, (tx) => letters.add(tx, key, [failedLetter(9, 'a')]))
    await troubles.write(key, token, { replay: 1 })
    const [plan] = await planDeletionIn(session, name)
    expect(plan!.letters).toBe(1)
    await deleteGroupIn(session, plan!, ann)
    expect([await letters.list({}, { limit: 9 }), await troubles.read(key)]).toEqual([[], null])
  })

  it('deletes what the log shows where that is wanted', async () => {
    const [plan] = await planDeletionIn(session, name)
    await deleteGroupIn(session, plan!, { ...ann, mirrored: true })
    expect(mirrored).toEqual([])
  })

  it("is refused while a worker waits for the group, with a clock ahead of Temporal's by however much", async () => {
    polls = [{ identity: '7@host', at: Date.now() - 3_600_000 }]
    waiting = ['7@host']
    await expect(planDeletionIn(session, name)).rejects.toMatchObject({
      code: 'GROUP_ACTIVE',
      message: expect.stringContaining('7@host'),
    })
  })

  it('is refused where a worker was started while the plan was looked at', async () => {
    const [plan] = await planDeletionIn(session, name)
    polls = [{ identity: '7@host', at: Date.now() }]
    await expect(deleteGroupIn(session, plan!, ann)).rejects.toMatchObject({ code: 'GROUP_ACTIVE' })
    expect(ended).toEqual([])
    expect(await (await session.database()).groups.read(name)).not.toBeNull()
  })

  it('does not mind workflows that have ended meanwhile', async () => {
    const [plan] = await planDeletionIn(session, name)
    running.clear()
    await deleteGroupIn(session, plan!, ann)
    expect(await (await session.database()).groups.read(name)).toBeNull()
  })

  it('is refused while workers ask for its work, and names them', async () => {
    polls = [{ identity: '4321@desk', at: Date.now() - 12_000 }]
    await expect(planDeletionIn(session, name)).rejects.toMatchObject({
      code: 'GROUP_ACTIVE',
      place: name,
      message: expect.stringMatching(/they last asked for work: 4321@desk 1[23] s ago\. Stop them/),
    })
  })

  it('does not mind workers that have not asked for a while', async () => {
    polls = [{ identity: '4321@desk', at: Date.now() - 90_000 }]
    expect(await planDeletionIn(session, name)).toHaveLength(1)
  })

  it('knows what a group is that is not there', async () => {
    await expect(planDeletionIn(session, { group: 'billing', stream: 'payments' })).rejects.toThrow(
      "there is no group 'billing' on stream 'payments'; there is billing on orders",
    )
  })
})
