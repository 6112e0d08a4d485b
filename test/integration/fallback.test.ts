import { createHash } from 'node:crypto'
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest'
import { groupStatus } from '../../src/client/status.js'
import { consumer, defineConfig } from '../../src/config/define.js'
import { transactional } from '../../src/handlers/handler.js'
import { groupWorkflowId } from '../../src/model/partition.js'
import { appendEvents } from '../../src/postgres/output/append.js'
import { postgresStream } from '../../src/postgres/source/stream.js'
import { postgresStore } from '../../src/postgres/store/store.js'
import { text } from '../../src/reading/value.js'
import { createWorker } from '../../src/worker/create.js'
import { keptLog, type Running, run, temporalClient } from '../support/consume.js'
import { type FreshDatabase, freshDatabase } from '../support/fresh-database.js'
import { describeWith, part } from '../support/parts.js'
import { unique } from '../support/unique.js'
import { waitFor } from '../support/wait-for.js'

const group = 'billing'
/** A batch that nobody took for 30 s, and a little. */
const soon = 35_000
const slices = 4

/** A key whose events the stream puts into this partition. */
function keyOf(partition: number): string {
  for (let n = 0; ; n++)
    if (createHash('md5').update(`${n}`).digest().readUInt32BE() % slices === partition) return `${n}`
}

describeWith(['postgres', 'temporal'], 'a deploy that is started next to an older one', () => {
  let client: Awaited<ReturnType<typeof temporalClient>>
  let database: FreshDatabase
  let taskQueue: string
  let stream: string
  /** `canary 3`: who has handled an event of which partition. */
  let handled: string[]
  const running: Running[] = []
  beforeAll(async () => {
    client = await temporalClient()
  })
  afterAll(() => client?.close())
  beforeEach(async () => {
    database = await freshDatabase()
    taskQueue = unique('queue')
    stream = unique('orders')
    handled = []
  })
  afterEach(async () => {
    await Promise.all(running.splice(0).map((one) => one.stop().catch(() => {})))
    await client.workflow
      .getHandle(groupWorkflowId(group, stream))
      .terminate()
      .catch(() => {})
    await database.drop()
  })

  function configOf(name: string, handle: (name: string, partition: number) => Promise<void> = async () => {}) {
    const { connectionString } = database
    const { address, namespace } = part('temporal')
    return defineConfig({
      store: postgresStore({ connectionString, poolSize: 5 }),
      temporal: { address, namespace },
      taskQueue,
      consumers: [
        consumer<string>({
          group,
          source: postgresStream({ connectionString, stream, partitions: slices, value: text() }),
          slices,
          // Names the version.
          chunk: { maxMessages: 1_000 + ['older', 'canary', 'fixed'].indexOf(name) },
          heartbeatTimeout: '2s',
          retry: { initialInterval: '200ms' },
          batch: { restAfter: '2s' },
          handler: transactional(async (messages) => {
            await handle(name, messages[0]!.partition)
            for (const { partition } of messages) handled.push(`${name} ${partition}`)
          }),
        }),
      ],
    })
  }
  async function start(...of: Parameters<typeof configOf>): Promise<Running> {
    const one = await run(configOf(...of))
    running.push(one)
    return one
  }
  const append = (...partitions: number[]) =>
    appendEvents(
      database.connectionString,
      stream,
      partitions.map((partition) => ({ value: 'an order', key: keyOf(partition) })),
    )
  /** Waits until events of these partitions are handled, and returns by whom and within how many ms. */
  async function workedBy(partitions: readonly number[], timeout = 20_000) {
    const began = performance.now()
    const isThere = (partition: number) => handled.some((one) => one.endsWith(` ${partition}`))
    await waitFor(() => partitions.every(isThere), {
      what: `all of ${partitions} to be handled`,
      timeout,
    })
    return { names: [...new Set(handled.splice(0).map((one) => one.split(' ')[0]))], ms: performance.now() - began }
  }
  const see = () => groupStatus(client, { group, stream })
  /** Waits until all partitions are worked with the config that was started last. */
  const inForce = () =>
    waitFor(
      async () => {
        const { config, partitions } = await see()
        return partitions.every((one) => one.config === config.version)
      },
      { what: 'the last version to be in force everywhere' },
    )
  const all = [0, 1, 2, 3]

  it('gives its work back when it dies, once for the whole group, and has it again when it returns', async () => {
    await start('older')
    await append(...all)
    expect((await workedBy(all)).names).toEqual(['older'])
    const canary = await start('canary')
    await inForce()
    await append(...all)
    expect((await workedBy(all)).names).toEqual(['canary'])
    await waitFor(async () => (await see()).partitions.every(({ working }) => !working), { what: 'all to be at rest' })
    await canary.stop()

    await append(0)
    const first = await workedBy([0], soon + 10_000)
    expect(first.names).toEqual(['older'])
    expect(first.ms).toBeLessThan(soon)
    await append(1, 2, 3)
    const others = await workedBy([1, 2, 3], soon)
    expect(others.names).toEqual(['older'])
    expect(others.ms).toBeLessThan(15_000)

    // Its worker comes back, as one does whose network was cut: nobody puts its config in force again.
    const config = configOf('canary')
    const worker = await createWorker(config, { log: keptLog() })
    const ended = worker.run()
    running.push({
      worker,
      log: keptLog(),
      stop: async () => {
        worker.shutdown()
        await ended
      },
    })
    await inForce()
    await append(...all)
    expect((await workedBy(all)).names).toEqual(['canary'])
  })

  it('mends a handler that fails in the middle of a call, and the old error is forgotten', async () => {
    let tries = 0
    let fail = (_: Error) => {}
    const broken = await start('older', () => {
      tries++
      return new Promise((_, reject) => {
        fail = reject
      })
    })
    await append(0)
    await waitFor(() => tries === 1, { what: 'a try' })
    fail(new Error('the remote system timed out'))
    await waitFor(() => tries === 2, { what: 'another try' })
    const { version } = (await see()).config
    await start('fixed')
    await waitFor(async () => (await see()).config.version !== version, { what: 'the new version' })
    fail(new Error('the remote system timed out'))
    expect((await workedBy([0])).names).toEqual(['fixed'])
    await broken.stop()
    await waitFor(
      async () => (await see()).partitions.every(({ state, reason }) => state === 'running' && reason === ''),
      { what: 'all partitions to run, without a reason' },
    )
  })

  it('shows no partition as retrying that only waited for messages when its worker went away', async () => {
    const first = await start('older')
    await append(...all)
    await workedBy(all)
    await append(0)
    await workedBy([0])
    const second = await start('older')
    await first.stop()
    for (let look = 0; look < 5; look++) {
      const states = (await see()).partitions.map(({ state, reason }) => `${state} ${reason}`)
      expect(new Set(states)).toEqual(new Set(['running ']))
    }
    await append(...all)
    expect((await workedBy(all)).names).toEqual(['older'])
    await second.stop()
  })
})
