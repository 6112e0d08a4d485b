import { Client, Connection } from '@temporalio/client'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { applyReset } from '../../src/client/apply.js'
import { pauseGroup, resumeGroup } from '../../src/client/commands.js'
import { planReset } from '../../src/client/reset.js'
import { resliceGroup } from '../../src/client/reslice.js'
import { groupWorkflowId, sliceWorkflowId } from '../../src/model/partition.js'
import { lookAtGroup } from '../../src/temporal/group-workflow.js'
import { LoadedGroup, partitions } from '../support/loaded-group.js'
import { describeWith } from '../support/parts.js'
import { RestorableTemporal } from '../support/restorable-temporal.js'
import { waitFor } from '../support/wait-for.js'

/*
 * Temporal comes back in an older state, under workers that go on and databases that have come further. Several groups live through the same
 * restore, each with something else that happened between the backup and the restore.
 */
describeWith(['postgres', 'temporal'], 'a Temporal that is restored to a state', () => {
  let temporal: RestorableTemporal
  let client: Client
  const groups: LoadedGroup[] = []
  let steered: LoadedGroup
  let resliced: LoadedGroup
  let stopped: LoadedGroup
  let added: LoadedGroup
  let pausedAt: Date

  beforeAll(async () => {
    temporal = await RestorableTemporal.start()
    const { address, namespace } = temporal
    client = new Client({ connection: await Connection.connect({ address }), namespace })
    const begin = async () => {
      const group = await LoadedGroup.begin(temporal, client)
      groups.push(group)
      return group
    }
    ;[steered, resliced, stopped] = await Promise.all([begin(), begin(), begin()])
    const restore = await temporal.backup()
    added = await begin()
    await Promise.all([steered.worked(partitions), resliced.worked(partitions), stopped.worked(partitions)])

    await pauseGroup(client, steered.name, { partitions: [1], reason: 'a look' })
    await steered.is('paused', 1)
    pausedAt = await steered.now()
    await applyReset(
      steered.config,
      await planReset(steered.config, { group: steered.name.group, to: 'first', partitions: [2] }),
    )
    await resliceGroup(client, resliced.name, { slices: 4 })
    await client.workflow.getHandle(groupWorkflowId(stopped.name.group, stopped.name.stream)).cancel()
    await ended(stopped)
    await Promise.all([steered.worked([0, 2, 3]), resliced.worked(partitions), added.worked(partitions)])

    await restore()
  })
  afterAll(async () => {
    await Promise.all(groups.map((group) => group.end()))
    await client?.connection.close()
    await temporal?.close()
  })

  const ended = (group: LoadedGroup) =>
    waitFor(async () => (await lookAtGroup(client, group.name))?.state !== 'running', {
      what: 'the group to end',
      timeout: 60_000,
    })

  it('goes on with all partitions, handles a reset once, and keeps what a person has paused since', async () => {
    await steered.worked([0, 2, 3])
    await steered.is('paused', 1)
    expect(await steered.effectsSince(pausedAt, 1)).toBe(0)
    await resumeGroup(client, steered.name, { partitions: [1] })
    await steered.worked(partitions)
    const [first, second, reset, fourth] = await steered.settled()
    for (const times of [first!, second!, fourth!]) expect(new Set(times)).toEqual(new Set([1]))
    // Twice what had been handled before the reset, and once what came after it.
    const before = reset!.indexOf(1)
    expect(new Set(reset!.slice(0, before))).toEqual(new Set([2]))
    expect(new Set(reset!.slice(before))).toEqual(new Set([1]))
  })

  it('from before a group was divided anew goes on with the slices that its record names', async () => {
    const { group, stream } = resliced.name
    await resliced.worked(partitions)
    const runs = async (slice: number) =>
      (await client.workflow.getHandle(sliceWorkflowId({ group, stream }, slice)).describe()).status.name === 'RUNNING'
    await waitFor(async () => (await runs(2)) && (await runs(3)), { what: 'the slices 2 and 3', timeout: 60_000 })
    await resliced.worked(partitions)
    expect(await resliced.states()).toEqual(partitions.map(() => 'running'))
    for (const times of await resliced.settled()) expect(new Set(times)).toEqual(new Set([1]))
  })

  it('from before a group was stopped stops it again', async () => {
    await ended(stopped)
    expect(await lookAtGroup(client, stopped.name)).toMatchObject({
      state: 'failed',
      why: expect.stringContaining('cancelled'),
    })
  })

  it('from before a group began is told of it by its worker', async () => {
    await added.worked(partitions)
    expect(await added.states()).toEqual(partitions.map(() => 'running'))
    for (const times of await added.settled()) expect(new Set(times)).toEqual(new Set([1]))
  })
})
