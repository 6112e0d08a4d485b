import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { Slots } from '../../../activities/batch/slots.js'
import type { MemoryTransaction } from '../../../src/memory/store/transaction.js'
import { PartialFailure, Poison } from '../../../src/model/handler-errors.js'
import type { AfterLastTry } from '../../../src/model/policy.js'
import { batchGround, failureSettings, name } from '../../support/batch-ground.js'
import { virtualTime } from '../../support/virtual-time.js'

vi.mock('node:timers/promises', () => import('../../support/virtual-sleep.js'))
beforeEach(virtualTime.begin)
afterEach(virtualTime.end)
const { pass, until } = virtualTime

/** `npx vitest run --project unit test/unit/failing/model.test.ts` with MODEL_RUNS=10000 is the long form. */
const numRuns = Number(process.env.MODEL_RUNS ?? 500)
const seed = Number(process.env.MODEL_SEED ?? Math.floor(Math.random() * 2 ** 31))

const key = { ...name, partition: 0 }
const keys = 4

/** What a message does: how often its handler fails at it before it is mended, and how. */
type Nature = 'good' | 'once' | 'twice' | 'poison' | 'bad'

/** What happens to a partition. */
type Step =
  | { readonly do: 'append'; readonly natures: readonly Nature[] }
  /** A batch that is let go of after so long, or whose worker is gone in the middle of it. */
  | { readonly do: 'work'; readonly ms: number; readonly how: 'ends' | 'dies' }
  /** The workers that are gone go on with what they have in hand. */
  | { readonly do: 'zombies' }
  | { readonly do: 'mend'; readonly count: number }
  | { readonly do: 'redrive'; readonly key: number | null }
  | { readonly do: 'reset' }

const nature = fc.oneof(
  { weight: 6, arbitrary: fc.constant<Nature>('good') },
  { weight: 1, arbitrary: fc.constantFrom<Nature>('once', 'twice', 'poison', 'bad') },
)
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('append' as const),
      natures: fc.array(nature, { minLength: 1, maxLength: 12 }),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('work' as const),
      ms: fc.integer({ min: 1, max: 3_000 }),
      how: fc.constantFrom('ends' as const, 'ends' as const, 'dies' as const),
    }),
  },
  { weight: 2, arbitrary: fc.constant({ do: 'zombies' as const }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('mend' as const), count: fc.integer({ min: 1, max: 3 }) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('redrive' as const), key: fc.option(fc.nat(keys - 1)) }) },
  { weight: 1, arbitrary: fc.constant({ do: 'reset' as const }) },
)
const policy = fc.record({
  order: fc.constantFrom('key' as const, 'none' as const),
  delays: fc.constantFrom<readonly number[]>([], [500], [200, 2_000]),
  attempts: fc.integer({ min: 1, max: 3 }),
  chunk: fc.constantFrom(1, 3, 10),
  kind: fc.constantFrom<Kind>('transactional', 'transactional', 'naming'),
})

/** One that is rolled back where it fails; or a plain one that names what has failed, and later messages of the same key with it. */
type Kind = 'transactional' | 'naming'

interface Effect {
  readonly offset: number
  readonly replay: number
  readonly key: string
}

interface Given {
  readonly offset: bigint
  readonly key: string
  readonly idempotencyKey: string
}

function effectOf({ offset, key, idempotencyKey }: Given): Effect {
  return { offset: Number(offset), key, replay: Number(idempotencyKey.split('/').at(-1)) }
}

function gate(): { readonly opened: Promise<void>; readonly open: () => void } {
  let open = () => {}
  const opened = new Promise<void>((resolve) => {
    open = resolve
  })
  return { opened, open }
}

/** One partition, its log, and what its handler was to do with each message. */
class World {
  readonly natures: Nature[] = []
  readonly failed = new Map<string, number>()
  readonly mended = new Set<number>()
  replay = 0
  /** Effects before the last reset. What was set aside by then keeps the replay that it had. */
  resetAt = 0
  /** Effects of a plain handler. */
  readonly #plain: Effect[] = []
  /** A plain handler's effects may come twice once a worker was gone. */
  mayRepeat = false
  #batch = 0
  #epoch = 1
  /** Resolved when those that are gone may go on. */
  #gate = gate()
  #frozen = false
  /** The last batch's worker is gone, and Temporal has missed it. */
  #lost = false

  private constructor(
    readonly ground: Awaited<ReturnType<typeof batchGround>>,
    readonly kind: Kind,
  ) {}

  static async make({
    order,
    delays,
    attempts,
    chunk,
    kind,
  }: {
    order: 'key' | 'none'
    delays: readonly number[]
    attempts: number
    chunk: number
    kind: Kind
  }) {
    const afterLastTry: AfterLastTry = {
      policy: 'dead-letter',
      ...{ order, nullKeys: 'alone', keep: 'content', retentionMs: 1, delaysMs: delays },
      limits: { keys: 1_000, messages: 10_000, ageMs: null },
    }
    const ground = await batchGround({
      settings: {
        chunk: { maxMessages: chunk, fetchBytes: 1_000, targetMs: null },
        retry: { initialIntervalMs: 10, maximumIntervalMs: 100, backoff: 2 },
        failures: failureSettings({ isolate: kind === 'transactional', attempts, outageAfter: null, afterLastTry }),
      },
    })
    const world = new World(ground, kind)
    ground.log.keyOf = (offset) => `k${offset % BigInt(keys)}`
    await ground.own({ 0: 0 })
    const handle = async (messages: readonly Given[], context: { tx?: { client: MemoryTransaction } }) => {
      // What is in hand when its worker is gone stays there until the zombies wake.
      if (world.#frozen) await world.#gate.opened
      if (kind === 'naming') return world.#name(messages)
      for (const message of messages) {
        world.#fail(Number(message.offset))
        context.tx!.client.write(effectOf(message))
      }
    }
    Object.assign(ground.runtime, { handler: { kind: kind === 'naming' ? 'chunk' : kind, handle } })
    return world
  }

  #name(messages: readonly Given[]): void {
    const failed: Given[] = []
    let cause: unknown
    for (const message of messages) {
      try {
        if (failed.some(({ key }) => key === message.key)) failed.push(message)
        else {
          this.#fail(Number(message.offset))
          this.#plain.push(effectOf(message))
        }
      } catch (error) {
        cause ??= error
        failed.push(message)
      }
    }
    if (failed.length > 0) throw new PartialFailure(failed, cause)
  }

  #fail(offset: number): void {
    if (this.mended.has(offset)) return
    const nature = this.natures[offset]!
    if (nature === 'poison') throw new Poison('no')
    const times = { good: 0, once: 1, twice: 2, bad: Number.POSITIVE_INFINITY }[nature]
    const count = this.failed.get(`${offset}`) ?? 0
    if (count >= times) return
    this.failed.set(`${offset}`, count + 1)
    throw new Error('bad')
  }

  append(natures: readonly Nature[]): void {
    this.natures.push(...natures)
    this.ground.log.append(0, natures.length)
  }

  get effects(): Effect[] {
    return this.kind === 'naming' ? this.#plain : (this.ground.written as unknown as Effect[])
  }

  /** A batch, tried again as Temporal would, until its time is over. */
  async work(ms: number, how: 'ends' | 'dies'): Promise<void> {
    const { progress } = this.ground.runtime
    this.#batch++
    // Another process, which Temporal tells of the loss.
    if (this.#lost) Object.assign(this.ground.runtime, { quarantine: new Slots(1), slots: new Slots(100) })
    this.ground.reach.lost = this.#lost
    this.#lost = how === 'dies'
    if (how === 'dies' && this.kind === 'naming') this.mayRepeat = true
    const ends = performance.now() + ms
    for (let attempt = 1; performance.now() < ends && attempt < 30; attempt++) {
      const from = String((await progress.read(key))?.position ?? 0n)
      const partition = {
        partition: 0,
        from,
        epoch: this.#epoch,
        batch: this.#batch,
        replay: this.replay,
        identity: null,
      }
      const { batch, result } = this.ground.begin([partition], { attempt })
      const failed = result.then(
        () => false,
        () => true,
      )
      const over = pass(Math.max(1, Math.min(200, ends - performance.now()))).then(() => 'over' as const)
      if (how === 'dies' && attempt === 1) this.#frozen = true
      const first = await Promise.race([failed, over])
      this.ground.reach.lost = false
      await over
      if (how === 'dies') {
        // Nobody ends it. Whoever comes next has a greater token.
        this.#frozen = false
        return
      }
      if (first === 'over') {
        batch.end()
        await until(failed)
        if (performance.now() >= ends) return
      }
      this.#batch++
    }
  }

  async wakeZombies(): Promise<void> {
    this.#gate.open()
    this.#gate = gate()
    await pass(50)
  }

  async mend(count: number): Promise<void> {
    const ill = this.natures.flatMap((nature, offset) =>
      nature !== 'good' && !this.mended.has(offset) ? [offset] : [],
    )
    for (const offset of ill.slice(0, count)) this.mended.add(offset)
  }

  redrive(one: number | null): Promise<unknown> {
    const filter = one === null ? name : { ...name, key: `k${one}` }
    return this.ground.runtime.letters.request(filter, { what: 'redrive', by: 'ann', reason: '' })
  }

  /** From the beginning; what is set aside stays so. */
  async reset(): Promise<void> {
    this.replay++
    this.resetAt = this.effects.length
    this.#epoch++
    this.#batch = 0
    await this.ground.runtime.progress.begin(key, { position: 0n, replay: this.replay, identity: null })
    this.failed.clear()
  }

  open() {
    return this.ground.runtime.letters.list({ ...name, states: ['waiting', 'due', 'leaving'] }, { limit: 10_000 })
  }
}

/** What holds at any moment. */
async function check(world: World, order: 'key' | 'none'): Promise<void> {
  const position = Number((await world.ground.runtime.progress.read(key))?.position ?? 0n)
  const open = new Map((await world.open()).map((letter) => [Number(letter.offset), letter]))
  const seen = new Map<string, number>()
  const done = new Set<number>()
  for (const [index, { offset, replay, key }] of world.effects.entries()) {
    if (index >= world.resetAt) done.add(offset)
    if (world.mayRepeat) continue
    // No effect comes twice in one replay.
    const last = seen.get(`${replay} ${offset}`) ?? 0
    expect([offset, replay, last]).toEqual([offset, replay, 0])
    seen.set(`${replay} ${offset}`, 1)
    if (order === 'none') continue
    // And a key's effects keep their order.
    const before = seen.get(`${replay} ${key}`) ?? -1
    expect(offset).toBeGreaterThan(before)
    seen.set(`${replay} ${key}`, offset)
  }
  // What is behind the position is done, or set aside; what is set aside in this replay is not done.
  for (let offset = 0; offset < position; offset++)
    expect([offset, done.has(offset) || open.has(offset)]).toEqual([offset, true])
  for (const [offset, { replay }] of open)
    if (replay === world.replay && !world.mayRepeat) expect([offset, done.has(offset)]).toEqual([offset, false])
}

describe('a partition, whatever happens to it', () => {
  it(`does each message once, in order, or has it set aside (seed ${seed})`, async () => {
    await fc.assert(
      fc.asyncProperty(policy, fc.array(step, { minLength: 1, maxLength: 14 }), async (given, steps) => {
        const world = await World.make(given)
        for (const one of steps) {
          if (one.do === 'append') world.append(one.natures)
          if (one.do === 'work') await world.work(one.ms, one.how)
          if (one.do === 'zombies') await world.wakeZombies()
          if (one.do === 'mend') await world.mend(one.count)
          if (one.do === 'redrive') await world.redrive(one.key)
          if (one.do === 'reset') await world.reset()
          await check(world, given.order)
        }
        // All is mended, and everything comes through.
        await world.wakeZombies()
        await world.mend(1_000)
        for (let round = 0; round < 4; round++) {
          await world.redrive(null)
          await world.work(4_000, 'ends')
          await check(world, given.order)
        }
        expect(await world.open()).toEqual([])
        const position = (await world.ground.runtime.progress.read(key))?.position ?? 0n
        expect(Number(position)).toBe(world.natures.length)
      }),
      { numRuns, seed },
    )
  }, 600_000)
})
