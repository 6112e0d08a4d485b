import { type Client, WorkflowUpdateFailedError, WorkflowUpdateStage } from '@temporalio/client'
import { ApplicationFailure } from '@temporalio/common'
import type { ParsedConsumer } from '../config/parse.js'
import { names, type ResliceCommand, type Resliced } from '../model/commands.js'
import { TidemarkError } from '../model/errors.js'
import { bySlice, type GroupName, groupWorkflowId, mostSlices, ranges, sliceWorkflowId } from '../model/partition.js'
import type { GroupRecord } from '../ports/index.js'
import { answered, neverStarted } from '../temporal/answers.js'
import { TemporalCluster } from '../temporal/cluster.js'
import { lookAtGroup } from '../temporal/group-workflow.js'
import { operatorName } from './operator.js'
import type { Session } from './session.js'

/**
 * Divides the partitions of a running group into another number of slices. The slices finish the chunks in hand and end; then new ones
 * begin where they ended. Pauses stay; blocked and fenced partitions are taken up, as `resumeGroup` does. Resolves when the record says
 * so, however long the handlers take. The caller may go away meanwhile, and asking again is safe.
 *
 * @throws TidemarkError UNKNOWN_CONSUMER for a group that does not run; CONFIG_INVALID for a number out of range; GROUP_ACTIVE during a
 * bounded run, or where another number was asked for first; UNREACHABLE when no worker answers, and then it may still happen
 */
export async function resliceGroup(client: Client, name: GroupName, command: ResliceCommand): Promise<Resliced> {
  requireNumber(command)
  const handle = client.workflow.getHandle(groupWorkflowId(name.group, name.stream))
  try {
    const update = await answered(client, name, () =>
      handle.startUpdate<Resliced, [ResliceCommand]>(names.reslice, {
        args: [{ by: operatorName(), ...command }],
        waitForStage: WorkflowUpdateStage.ACCEPTED,
      }),
    )
    return required(command, await update.result())
  } catch (error) {
    if (!(error instanceof WorkflowUpdateFailedError) || !(error.cause instanceof ApplicationFailure)) throw error
    const { type, message } = error.cause
    throw new TidemarkError(type === 'CONFIG_INVALID' ? type : 'GROUP_ACTIVE', message, { place: name })
  }
}

/**
 * The same for a group in whatever state it is: where it does not run, only its record has to change.
 *
 * @throws as `resliceGroup`; UNKNOWN_CONSUMER for a group that was never started; GROUP_ACTIVE for slices that outlive their group
 */
export async function resliceIn(
  session: Session,
  { settings: { group, stream } }: ParsedConsumer,
  command: ResliceCommand,
): Promise<Resliced> {
  requireNumber(command)
  const name = { group, stream }
  const client = await session.temporal()
  const runs = async () => (await lookAtGroup(client, name))?.state === 'running'
  if (await runs()) return resliceGroup(client, name, command)
  const { groups } = await session.database()
  const record = await groups.read(name)
  if (!record) throw neverStarted(name)
  const { slices, by = operatorName(), reason: why = '' } = command
  const changed = record.slices !== slices
  if (changed) {
    await requireEnded(client, record)
    await groups.reslice(name, { from: record.generation, slices, by, why })
  }
  // A worker may have started the group meanwhile, with what the record said before.
  if (await runs()) return { ...(await resliceGroup(client, name, command)), before: record.slices }
  const after = (await groups.read(name)) ?? record
  const { generation, partitions } = after
  return required(command, { ...name, partitions, before: record.slices, slices: after.slices, generation })
}

function requireNumber({ slices }: ResliceCommand): void {
  if (Number.isInteger(slices) && slices >= 1 && slices <= mostSlices) return
  throw new TidemarkError('CONFIG_INVALID', `a group has 1 to ${mostSlices} slices, not ${slices}`)
}

function required({ slices: wanted }: ResliceCommand, resliced: Resliced): Resliced {
  const { group, stream, slices } = resliced
  if (slices === wanted) return resliced
  throw new TidemarkError(
    'GROUP_ACTIVE',
    `${group} on ${stream} was divided into ${slices} slices by another command meanwhile: 'tidemark history' shows who did it`,
    { place: { group, stream } },
  )
}

/** Slices outlive a group whose workflow was terminated or has failed. Their partitions must not begin in other slices as well. */
async function requireEnded(client: Client, { group, stream, partitions, slices }: GroupRecord): Promise<void> {
  const cluster = new TemporalCluster(client)
  const all = [...bySlice(partitions, slices).keys()].sort((a, b) => a - b)
  const looks = await Promise.all(all.map((slice) => cluster.look(sliceWorkflowId({ group, stream }, slice))))
  const running = all.filter((_, index) => looks[index]?.status === 'running')
  if (running.length === 0) return
  throw new TidemarkError(
    'GROUP_ACTIVE',
    `${group} on ${stream} does not run, but its slices ${ranges(running)} still do: start the group, or try again when they have ended`,
    { place: { group, stream } },
  )
}
