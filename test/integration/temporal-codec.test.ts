import { afterAll, beforeAll, expect, it } from 'vitest'
import { viewGroups } from '../../src/client/view.js'
import { consumer, defineConfig } from '../../src/config/define.js'
import type { TidemarkOptions } from '../../src/config/options.js'
import { appendEvents, createStream, postgresStore, postgresStream } from '../../src/entry/postgres.js'
import { transactional } from '../../src/handlers/handler.js'
import { groupWorkflowId, sliceWorkflowId } from '../../src/model/partition.js'
import { type Running, run, temporalClient } from '../support/consume.js'
import { encrypting } from '../support/encrypting-codec.js'
import { type FreshDatabase, freshDatabase } from '../support/fresh-database.js'
import { describeWith, part } from '../support/parts.js'
import { storedText } from '../support/temporal-text.js'
import { unique } from '../support/unique.js'
import { waitFor } from '../support/wait-for.js'

const secret = 'Account 4711'

describeWith(['postgres', 'temporal'], 'a config with a codec that encrypts', () => {
  let database: FreshDatabase
  let client: Awaited<ReturnType<typeof temporalClient>>
  let running: Running | undefined

  beforeAll(async () => {
    database = await freshDatabase()
    client = await temporalClient()
  })
  afterAll(async () => {
    await running?.stop()
    await client.close()
    await database.drop()
  })

  it('hides all payloads in Temporal from those without it, and status and commands read them', async () => {
    const { connectionString } = database
    const [stream, group, taskQueue] = [unique('orders'), 'billing', unique('queue')]
    await createStream(connectionString, { stream, partitions: 2 })
    const events = Array.from({ length: 4 }, (_, n) => ({ key: `k${n}`, value: n, type: 'x' }))
    await appendEvents(connectionString, stream, events)
    const calls = { asked: 0, worked: 0 }
    const counted =
      (what: keyof typeof calls) =>
      <I, O>(input: I, next: (input: I) => O): O => {
        calls[what]++
        return next(input)
      }
    const of = (temporal: TidemarkOptions['temporal'] = {}) =>
      defineConfig({
        store: postgresStore({ connectionString }),
        temporal: { address: part('temporal').address, namespace: part('temporal').namespace, ...temporal },
        taskQueue,
        consumers: [
          consumer<number>({
            group,
            source: postgresStream({ connectionString, stream }),
            retry: { initialInterval: '100ms', maximumInterval: '200ms' },
            slices: 1,
            handler: transactional(async () => {
              throw new Error(secret)
            }),
          }),
        ],
      })
    const failureConverterPath = new URL('../support/encoded-failures.cjs', import.meta.url).pathname
    const dataConverter = { payloadCodecs: [encrypting('key')], failureConverterPath }
    const interceptors: NonNullable<TidemarkOptions['temporal']>['interceptors'] = {
      client: { workflow: [{ describe: counted('asked') }] },
      activity: [() => ({ inbound: { execute: counted('worked') } })],
    }
    const whole = of({ dataConverter, interceptors })
    running = await run(whole)

    const troubled = async () => {
      const [view] = await viewGroups(whole)
      return view!.complete && view!.partitions.find(({ reason }) => reason?.includes(secret))
    }
    await waitFor(troubled, { what: 'status to say why a partition fails', timeout: 30_000 })
    expect(calls.asked).toBeGreaterThan(0)
    expect(calls.worked).toBeGreaterThan(0)

    const ids = [groupWorkflowId(group, stream), sliceWorkflowId({ group, stream }, 0)]
    // The status has the reason before the first try has ended, from a heartbeat; Temporal has the failure from its end on.
    const held = await waitFor(
      async () => {
        const text = (await Promise.all(ids.map((id) => storedText(client, id)))).join('\n')
        return text.includes('Encoded failure') && text
      },
      { what: 'Temporal to hold an encoded failure' },
    )
    expect(held).toContain('binary/encrypted')
    for (const hidden of [secret, 'heartbeatTimeoutMs', 'messages of', 'letGo"', 'inChunkSince'])
      expect(held.includes(hidden), `Temporal holds '${hidden}'`).toBe(false)

    const [blind] = await viewGroups(of())
    const needed = "Temporal holds data that this config can't read (its encoding is 'binary/encrypted')"
    expect(blind!.notes.join()).toContain(needed)
    expect(blind!.complete).toBe(false)
    const wrong = await viewGroups(of({ dataConverter: { payloadCodecs: [encrypting('another key')] } }))
    expect(wrong[0]!.notes.join()).toContain('temporal.dataConverter.payloadCodecs[0] could not decode')
  }, 60_000)
})
