import { type Client, WorkflowNotFoundError } from '@temporalio/client'
import { describe, expect, it } from 'vitest'
import { recordStop, stopInForce } from '../../src/client/stopped.js'
import type { GroupRecord, GroupRecords, Stop } from '../../src/ports/index.js'
import type { GroupWorkflow } from '../../src/temporal/group-workflow.js'

const name = { group: 'bank', stream: 'orders' }
const workflow = (state: GroupWorkflow['state']): GroupWorkflow => ({
  state,
  why: `its workflow was ${state} in Temporal`,
  runId: 'run',
  firstRunId: 'run',
  taskQueue: 'queue',
  endedAt: new Date(5_000),
  result: null,
})
const record = (stopped: Stop | null = null): GroupRecord => ({
  ...name,
  slices: 2,
  generation: 1,
  partitions: [0, 1, 2],
  stopped,
  paused: { group: null, partitions: new Map() },
})

describe('a stop by a person', () => {
  it.each(['cancelled', 'terminated'] as const)('is written down as it was: %s', async (how) => {
    const stops: Omit<Stop, 'at'>[] = []
    await recordStop(sliceHandles([0, 1]).client, recordsInto(stops), name, workflow(how))
    expect(stops).toEqual([{ by: 'Temporal', why: `its workflow was ${how} in Temporal`, how }])
  })

  it('ends all slices that run, whichever does not', async () => {
    const { client, signals } = sliceHandles([1])
    expect(await recordStop(client, recordsInto([]), name, workflow('terminated'))).toMatchObject({ slices: 2 })
    expect(signals).toEqual(['tidemark/bank/orders/1 finish'])
  })

  it('holds as it was written down, or as its workflow says where nobody has done that yet', () => {
    const stop: Stop = { how: 'cancelled', by: 'Temporal', why: 'a bad deploy', at: new Date(1_000) }
    expect(stopInForce(record(stop), workflow('terminated'))).toBe(stop)
    expect(stopInForce(record(stop), null)).toBe(stop)
    expect(stopInForce(record(), workflow('terminated'))).toMatchObject({ how: 'terminated', at: new Date(5_000) })
  })

  it('is over once the group runs again, and is none where its workflow ended by itself', () => {
    const stop: Stop = { how: 'cancelled', by: 'Temporal', why: 'a bad deploy', at: new Date(1_000) }
    expect(stopInForce(record(stop), workflow('running'))).toBeNull()
    for (const state of ['failed', 'finished'] as const) expect(stopInForce(record(), workflow(state))).toBeNull()
    expect(stopInForce(null, null)).toBeNull()
  })
})

/** A Temporal that runs these slices alone. */
function sliceHandles(running: readonly number[]) {
  const signals: string[] = []
  const getHandle = (id: string) => ({
    signal: async (signal: string) => {
      if (!running.some((slice) => id.endsWith(`/${slice}`)))
        throw new WorkflowNotFoundError('not found', id, undefined)
      signals.push(`${id} ${signal}`)
    },
  })
  return { signals, client: { workflow: { getHandle } } as unknown as Client }
}

function recordsInto(stops: Omit<Stop, 'at'>[]): GroupRecords {
  const stop: GroupRecords['stop'] = async (_, given) => {
    stops.push(given)
    return record({ ...given, at: new Date(0) })
  }
  return { stop } as unknown as GroupRecords
}
