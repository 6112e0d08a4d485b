import { afterEach, beforeEach, expect, it } from 'vitest'
import { applyReset } from '../../src/client/apply.js'
import { resumeGroup } from '../../src/client/commands.js'
import { planReset } from '../../src/client/reset.js'
import { groupStatus } from '../../src/client/status.js'
import { consumer, defineConfig, type TidemarkConfig } from '../../src/config/define.js'
import { appendEvents, createStream, postgresStore, postgresStream } from '../../src/entry/postgres.js'
import { transactional } from '../../src/handlers/handler.js'
import { type Running, rowsOf, run, temporalClient } from '../support/consume.js'
import { type FreshDatabase, freshDatabase } from '../support/fresh-database.js'
import { describeWith, part } from '../support/parts.js'
import { unique } from '../support/unique.js'
import { waitFor } from '../support/wait-for.js'

const group = 'billing'

// The log was restored while no worker ran, and is longer than the group's position again.
describeWith(['postgres', 'temporal'], 'a log with other messages at offsets that were handled', () => {
  let log: FreshDatabase
  let effects: FreshDatabase
  let client: Awaited<ReturnType<typeof temporalClient>>
  let config: TidemarkConfig
  let worker: Running | undefined
  let stream: string

  beforeEach(async () => {
    ;[log, effects] = await Promise.all([freshDatabase(), freshDatabase()])
    client = await temporalClient()
    stream = unique('orders')
    await createStream(log.connectionString, { stream, partitions: 1 })
    await rowsOf(effects.connectionString, 'create table effects (value text)')
    const { address, namespace } = part('temporal')
    config = defineConfig({
      store: postgresStore({ connectionString: effects.connectionString, poolSize: 5 }),
      temporal: { address, namespace },
      taskQueue: unique('queue'),
      consumers: [
        consumer<string>({
          group,
          source: postgresStream({ connectionString: log.connectionString, stream }),
          heartbeatTimeout: '2s',
          batch: { maxDuration: '1s', idleGap: '300ms' },
          handler: transactional<string>(async (messages, { tx }) => {
            await tx.query('insert into effects select unnest($1::text[])', [messages.map(({ value }) => value)])
          }),
        }),
      ],
    })
  })
  afterEach(async () => {
    await worker?.stop().catch(() => {})
    await client?.close()
    await Promise.all([log, effects].map((one) => one?.drop()))
  })

  const append = (values: readonly string[]) =>
    appendEvents(
      log.connectionString,
      stream,
      values.map((value) => ({ value })),
    )
  const named = (name: string, count: number) => Array.from({ length: count }, (_, i) => `${name} ${i}`)
  const handled = async () =>
    (await rowsOf<{ value: string }>(effects.connectionString, 'select value from effects')).map(({ value }) => value)
  const handles = (values: readonly string[]) =>
    waitFor(async () => (await handled()).length >= values.length, {
      what: `${values.length} effects`,
      timeout: 60_000,
    })
  const blocked = () =>
    waitFor(
      async () => (await groupStatus(client, { group, stream })).partitions.find(({ state }) => state === 'blocked'),
      { what: 'the partition to stop', timeout: 60_000 },
    )

  it('is not read past them: the partition stops, and a person says where to go on', async () => {
    const [kept, lost, others] = [named('kept', 12), named('lost', 8), named('other', 30)]
    await append(kept)
    const [{ cut }] = (await rowsOf<{ cut: string }>(
      log.connectionString,
      'select max(position)::text as cut from tidemark.events',
    )) as [{ cut: string }]
    worker = await run(config)
    await append(lost)
    await handles([...kept, ...lost])
    await worker.stop()
    await rowsOf(
      log.connectionString,
      `delete from tidemark.events where position > ${cut};
       select setval(pg_get_serial_sequence('tidemark.events', 'position'), ${cut})`,
    )
    await append(others)

    worker = await run(config)
    const { reason } = await blocked()
    expect(reason).toContain('the log was cut somewhere before position')
    expect(reason).toContain(`tidemark reset --group ${group} --stream ${stream} --partition 0 --to`)
    await resumeGroup(client, { group, stream })
    await blocked()
    expect(await handled()).toEqual([...kept, ...lost])

    const to = { offset: BigInt(cut) + 1n }
    await applyReset(config, await planReset(config, { group, stream, to }), { why: 'restored' })
    const all = [...kept, ...lost, ...others]
    await handles(all)
    expect(await handled()).toEqual(all)
  })
})
