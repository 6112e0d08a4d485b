import { expect, it } from 'vitest'
import { consumer, defineConfig } from '../../src/config/define.js'
import type { ConsumerOptions } from '../../src/config/options.js'
import { type TestOptions, testConsumer } from '../../src/entry/testing.js'
import { transactional } from '../../src/handlers/handler.js'
import { kafka } from '../../src/kafka/source/source.js'
import { postgresStore } from '../../src/postgres/store/store.js'
import { text } from '../../src/reading/value.js'
import type { TestConsumer } from '../../src/testing/kit.js'
import { describeWith, part } from '../support/parts.js'

/** Messages are `key` or `key:whatever`; those that begin with `-` have no key. */
function start(change: Partial<ConsumerOptions<string>> = {}, options: TestOptions = {}): Promise<TestConsumer> {
  const config = defineConfig({
    store: postgresStore({ connectionString: 'postgres://nobody@nowhere/none' }),
    consumers: [
      consumer<string>({
        group: 'billing',
        source: kafka({ brokers: ['nowhere:9092'], topic: 'orders', value: text() }),
        dedupe: { key: ({ value }) => (value.startsWith('-') ? null : value.split(':')[0]!) },
        handler: transactional(async (messages, { tx, replay }) => {
          const values = messages.map(({ value }) => value)
          await tx.query('insert into effects select m, $2 from unnest($1::text[]) m', [values, replay])
        }),
        ...change,
      }),
    ],
  })
  const { path } = part('timeSkipping')
  const { connectionString } = part('postgres')
  const setup = 'create table effects (value text, replay int)'
  return testConsumer(config, { server: path, database: connectionString, setup, partitions: 2, ...options })
}

const send = (t: TestConsumer, partition: number, ...values: string[]) =>
  t.append(values.map((value) => ({ partition, value })))

const effects = async (t: TestConsumer, replay = 0) => {
  const rows = await t.effects<{ value: string }>('select value from effects where replay = $1 order by value', [
    replay,
  ])
  return rows.map(({ value }) => value)
}

describeWith(['timeSkipping', 'postgres'], 'a consumer with dedupe', () => {
  it('handles a key once, in whatever chunk or partition it comes again, and commits past all of them', async () => {
    await using t = await start()
    await send(t, 0, 'a', 'b', 'a:again', '-', '-')
    await t.settled()
    await send(t, 1, 'b:elsewhere', 'a:elsewhere')
    await t.settled()
    await send(t, 1, 'c', 'b:once more')
    await t.settled()
    expect(await t.offsets()).toEqual({ 0: 5n, 1: 4n })
    expect(await effects(t)).toEqual(['-', '-', 'a', 'b', 'c'])
  })

  it('leaves out no message whose key is bytes that no other has', async () => {
    const bytes = (number: number) => {
      const long = Buffer.alloc(8)
      long.writeBigInt64BE(BigInt(number))
      return long
    }
    const numbers = Array.from({ length: 256 }, (_, number) => number)
    const messages = numbers.map((number) => ({ partition: 0, key: bytes(number), value: `${number}` }))
    await using t = await start({ dedupe: { key: ({ key }) => key } })
    await t.append([...messages, ...messages])
    await t.settled()
    expect((await t.offsets())[0]).toBe(512n)
    expect((await effects(t)).map(Number).sort((a, b) => a - b)).toEqual(numbers)
  })

  it('forgets a key whose handler failed, and hands the message over again', async () => {
    // Halves of its chunk would be tried at once, where the kit's cuts leave it more than one message.
    await using t = await start({ isolate: false, retry: { initialInterval: '1m' } })
    t.failNext(new Error('not yet'))
    await send(t, 0, 'a', 'b', 'a:again')
    await t.settled()
    expect(await effects(t)).toEqual([])
    await t.advance('2m')
    expect(await effects(t)).toEqual(['a', 'b'])
    expect((await t.offsets())[0]).toBe(3n)
  })

  it('handles a partition again after its reset, and no other', async () => {
    await using t = await start()
    await send(t, 0, 'a', 'b', 'a:again')
    await t.settled()
    await send(t, 1, 'b:elsewhere', 'c')
    await t.settled()
    expect(await t.reset('first', { partitions: [0] })).toEqual([0])
    await send(t, 0, 'c:late', 'd')
    await t.settled()
    expect(await t.offsets()).toEqual({ 0: 5n, 1: 2n })
    // Of replay 0 there may be more: what came before the owner noticed the reset.
    expect(await effects(t, 1)).toEqual(['a', 'b', 'd'])
  })

  it('a key function that throws stops nothing but its own partition, and says where', async () => {
    const key = ({ value }: { value: string }) => {
      if (value.startsWith('SENTINEL')) throw new Error(`no key in ${value}`)
      return value
    }
    await using t = await start({ dedupe: { key } }, { seed: 1 })
    await send(t, 0, 'a', 'SENTINEL-1')
    await send(t, 1, 'b')
    const states = await t.settled()
    const said = 'dedupe of group billing failed at orders[0] offset 1: its key function threw: no key in SENTINEL-1'
    expect(states.map(({ state }) => state)).toEqual(['retrying', 'idle'])
    expect(states[0]!.reason).toContain(said)
    expect(await effects(t)).toContain('b')
  })
})
