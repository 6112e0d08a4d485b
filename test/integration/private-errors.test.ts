import { afterAll, beforeAll, expect, it } from 'vitest'
import { groupStatus } from '../../src/client/status.js'
import { consumer, defineConfig } from '../../src/config/define.js'
import { createStream, postgresStore, postgresStream } from '../../src/entry/postgres.js'
import { transactional } from '../../src/handlers/handler.js'
import { groupWorkflowId, sliceWorkflowId } from '../../src/model/partition.js'
import { type Running, rowsOf, run, temporalClient } from '../support/consume.js'
import { type FreshDatabase, freshDatabase } from '../support/fresh-database.js'
import { describeWith, part } from '../support/parts.js'
import { payload, payloadErrors, payloadTables, pieces } from '../support/payload-errors.js'
import { temporalText } from '../support/temporal-text.js'
import { unique } from '../support/unique.js'
import { waitFor } from '../support/wait-for.js'

const group = 'billing'
/** The kind of the message that the decoder refuses. */
const undecodable = payloadErrors.length

describeWith(['postgres', 'temporal'], "errors: 'private'", () => {
  let database: FreshDatabase
  let client: Awaited<ReturnType<typeof temporalClient>>
  let worker: Running | undefined

  beforeAll(async () => {
    database = await freshDatabase()
    client = await temporalClient()
    await rowsOf(database.connectionString, payloadTables)
  })
  afterAll(async () => {
    await worker?.stop()
    await client.close()
    await database.drop()
  })

  /** A stream with a message for each kind of failure in partition 0, and a consumer that fails at each until the test has seen it. */
  async function failing(partitions: number, kinds: readonly number[]) {
    const { connectionString } = database
    const stream = unique('orders')
    await createStream(connectionString, { stream, partitions })
    const values = [...kinds, undecodable].map((kind) => JSON.stringify({ kind, payload }))
    await rowsOf(
      connectionString,
      'insert into tidemark.events (stream, partition, key, data) select $1, 0, $2, unnest($3::text[])::json',
      [stream, payload, values],
    )
    let at = 0
    let tries = 0
    const handler = transactional<{ kind: number }>(async ([message], context) => {
      const { kind } = message!.value
      if (kind !== kinds[at]) return
      tries++
      await payloadErrors[kind]![1](context)
    })
    const decode = (bytes: Buffer) => {
      const value = JSON.parse(bytes.toString())
      if (value.kind === undecodable) throw new Error(`no order: ${value.payload}`)
      return value
    }
    const one = consumer({
      group,
      source: postgresStream({ connectionString, stream, value: decode }),
      heartbeatTimeout: '2s',
      chunk: { maxMessages: 1 },
      retry: { initialInterval: '100ms', maximumInterval: '200ms' },
      slices: 1,
      handler,
    })
    const texts = () => temporalText(client, [groupWorkflowId(group, stream), sliceWorkflowId({ group, stream }, 0)])

    /** What Temporal holds while each kind is tried again, and when the partition has stopped. */
    async function seen(): Promise<readonly string[]> {
      const all: string[] = []
      for (; at < kinds.length; at++) {
        tries = 0
        const [what] = payloadErrors[kinds[at]!]!
        await waitFor(() => tries >= 2, { what: `two tries of a failure with ${what}`, timeout: 20_000 })
        all.push(await texts())
      }
      const blocked = async () =>
        (await groupStatus(client, { group, stream })).partitions.find(({ state }) => state === 'blocked')
      const { reason } = await waitFor(blocked, { what: 'the partition to stop', timeout: 20_000 })
      expect(reason).toMatch(/can't be decoded as decode: Error, error id [0-9a-f]{8}: see the worker's log\. Unless/)
      return [...all, await texts()]
    }
    return { consumer: one, seen }
  }

  it('keeps every part of a message out of Temporal, whatever is thrown, and the log has all of it', async () => {
    const kinds = [...payloadErrors.keys()]
    const scenes = await Promise.all([
      // A partition alone is tried again as a batch; one with neighbours leaves them, with a reason.
      failing(1, kinds),
      failing(
        2,
        kinds.filter((kind) => kind % 6 === 1),
      ),
    ])
    const { address, namespace } = part('temporal')
    worker = await run(
      defineConfig({
        store: postgresStore({ connectionString: database.connectionString }),
        temporal: { address, namespace },
        taskQueue: unique('queue'),
        errors: 'private',
        consumers: scenes.map((scene) => scene.consumer),
      }),
    )
    const all = (await Promise.all(scenes.map(({ seen }) => seen()))).flat().join('\n').toLowerCase()
    // What was looked for was there to be seen.
    const known = ['tidemark', 'typeerror', 'databaseerror (code 22p02)', '(code 23505)', '(code p0001)']
    for (const text of known) expect(all).toContain(text)
    for (const piece of pieces) expect(all.includes(piece), `Temporal holds '${piece}'`).toBe(false)
    const shown = new Set(Array.from(all.matchAll(/error id ([0-9a-f]{8})/g), ([, id]) => id!))
    expect(shown.size).toBeGreaterThanOrEqual(kinds.length)
    const { lines } = worker.log
    for (const id of shown) expect(lines.some((line) => line.includes(`"errorId":"${id}"`))).toBe(true)
    expect(lines.join('\n')).toContain(`no customer ${payload.slice(0, 4)}`)
  }, 180_000)
})
