import { Client, Connection } from '@temporalio/client'
import { postgresDatabase } from '../../../src/entry/postgres.js'
import { names } from '../../../src/model/commands.js'
import { groupWorkflowId } from '../../../src/model/partition.js'
import { silentLog } from '../../support/silent-log.js'
import { waitFor } from '../../support/wait-for.js'
import type { Scene } from './faults.js'
import type { FailurePlan } from './plan.js'

/**
 * Asks once for all letters to be redriven, and kills workers meanwhile.
 *
 * @returns after how many seconds none was open any more
 */
export async function redriveAll(
  { ground, shift }: Scene,
  { address, namespace }: { readonly address: string; readonly namespace: string },
  {
    random,
    redriveKills: kills,
    timeoutMs,
    say,
  }: Pick<FailurePlan, 'redriveKills' | 'timeoutMs' | 'say'> & { readonly random: () => number },
): Promise<number> {
  const context = { log: silentLog(), signal: new AbortController().signal }
  const database = await postgresDatabase({ connectionString: ground.databaseUrl, poolSize: 2 }).connect(context)
  const connection = await Connection.connect({ address })
  try {
    const began = Date.now()
    const group = { group: 'chaos', stream: ground.topic }
    const { owners, ...asked } = await database.letters.request(group, {
      what: 'redrive',
      by: 'chaos',
      reason: 'mended',
    })
    say(`asked for ${JSON.stringify(asked)}`)
    await new Client({ connection, namespace }).workflow
      .getHandle(groupWorkflowId(group.group, group.stream))
      .signal(names.redrive, { partitions: owners.map(({ partition }) => partition) })
    for (let n = 1; n <= kills; n++) {
      const fewer = Math.floor((asked.letters * (kills + 1 - n)) / (kills + 1))
      await waitFor(async () => (await ground.openLetters()) <= fewer, { timeout: timeoutMs, what: `${fewer} letters` })
      const victim = shift.pick(random())
      shift.workers.kill(victim)
      say(`killed ${victim.name} during the redrive`)
    }
    await waitFor(async () => (await ground.openLetters()) === 0, { timeout: timeoutMs, what: 'the last letter' })
    return Math.round((Date.now() - began) / 1000)
  } finally {
    await Promise.all([database.close(), connection.close()])
  }
}
