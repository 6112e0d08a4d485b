import type { GroupName } from '../../model/partition.js'
import { describePartition, ranges } from '../../model/partition.js'
import { temporalError } from '../../temporal/connection.js'
import { lookAtGroup } from '../../temporal/group-workflow.js'
import { matches } from '../group-names.js'
import { lastReports } from '../last-reports.js'
import { patience } from '../open-parts.js'
import type { Session } from '../session.js'
import { describeStop, stopInForce } from '../stopped.js'

/**
 * Why nobody handles letters of these partitions at the moment, a sentence each; empty where nothing is known to be in the way. Needs no
 * worker.
 */
export async function obstaclesOf(
  session: Session,
  name: GroupName,
  partitions: readonly number[],
): Promise<readonly string[]> {
  const kept = keptBy(session.config, name)
  if (kept) return [kept]
  const client = await session.temporal()
  const { groups } = await session.database()
  const resume = `'tidemark resume --group ${name.group} --stream ${name.stream}`
  try {
    const [workflow, record] = await Promise.all([lookAtGroup(client, name), groups.read(name)])
    const stop = stopInForce(record, workflow)
    if (stop) return [`the group was ${describeStop(stop)}: ${resume}' starts it again`]
    if (workflow?.state === 'finished') return ['the group has finished its run, and handles nothing more']
    if (workflow?.state !== 'running') return ["the group does not run: 'tidemark start' starts it"]
    const pause = record?.paused.group
    if (pause)
      return [`the group is paused (${pause.why || 'no reason given'}, by ${pause.by}): ${resume}' lets it go on`]
    const paused = partitions.filter((partition) => record?.paused.partitions.has(partition))
    const stopped = record ? await lastReports(client, record, patience) : []
    return [
      ...(paused.length === 0
        ? []
        : [
            `${paused.length === 1 ? 'partition' : 'partitions'} ${ranges(paused)} ${paused.length === 1 ? 'is' : 'are'} paused: ` +
              `${resume}${paused.map((one) => ` --partition ${one}`).join('')}' lets ${paused.length === 1 ? 'it' : 'them'} go on`,
          ]),
      ...stopped
        .filter(({ partition }) => partitions.includes(partition) && !paused.includes(partition))
        .map(
          ({ partition, condition, reason }) =>
            `${describePartition({ stream: name.stream, partition })} is ${condition}: ${reason}`,
        ),
    ]
  } catch (error) {
    throw temporalError(error, session.config.temporal)
  }
}

/** What of the consumer's options keeps letters where they are; null where nothing does. */
function keptBy({ consumers }: Session['config'], name: GroupName): string | null {
  const consumer = consumers.find(({ settings }) => matches(name, settings))
  const isManual = consumer?.settings.commit.after === 'manual'
  if (!isManual && !consumer?.output?.transactional) return null
  return `the consumer handles no dead letters with ${isManual ? 'commit: manual()' : "transactional: 'kafka'"}: start it with the config that it had before`
}
