/**
 * What messages do to their handler. All but the first four do it until everything is mended.
 *
 * - `good`        nothing
 * - `service`     needs a service, which is away for a while
 * - `flaky`       fails once or twice when it is alone, then works
 * - `block`       keeps the event loop busy for longer than the worker may be silent, then works
 * - `broken`      throws; `late` throws after a while; `poison` throws `Poison`
 * - `undecodable` never gets to the handler
 * - `hang`        never ends
 * - `exit`        ends the process; `heap` fills its memory
 */
export const natures = [
  'good',
  'service',
  'flaky',
  'block',
  'broken',
  'late',
  'poison',
  'undecodable',
  'hang',
  'exit',
  'heap',
] as const
export type Nature = (typeof natures)[number]

/** The value of a message. */
export interface Order {
  readonly id: number
  readonly key: number
  readonly nature: Nature
}

/** Stands before the value of a message that can't be decoded until everything is mended. */
export const garbage = 0xff

/** Letters that a message of some nature may become by itself: class and code. No other nature may become one. */
export const allowedLetters: readonly (readonly [nature: Nature, kind: string, code: string])[] = [
  ['broken', 'poison', 'Error'],
  ['late', 'poison', 'Error'],
  ['poison', 'poison', 'Poison'],
  ['undecodable', 'undecodable', 'UNDECODABLE'],
  ['hang', 'poison', 'CHUNK_TIMEOUT'],
  ['exit', 'crash', 'WORKER_LOST'],
  ['heap', 'crash', 'WORKER_LOST'],
  // While it blocks, its worker may be missed, or its time be over.
  ['block', 'crash', 'WORKER_LOST'],
  ['block', 'poison', 'CHUNK_TIMEOUT'],
]

/** How many messages of each nature there are; all others are good. */
export type Counts = Readonly<Partial<Record<Nature, number>>>

/** @param heavy messages that a worker is lost at, or that take all of their time; each takes about a minute until it is set aside */
export function countsFor(messages: number, heavy: number): Counts {
  const one = (share: number, most: number) => Math.max(2, Math.min(most, Math.round(messages * share)))
  return {
    service: one(0.005, 2_000),
    flaky: one(0.001, 200),
    broken: one(0.0005, 50),
    late: one(0.0003, 30),
    poison: one(0.0005, 50),
    undecodable: one(0.0003, 30),
    hang: heavy,
    exit: heavy,
    heap: Math.ceil(heavy / 2),
    block: Math.ceil(heavy / 2),
  }
}

/** Gives each message a key and a nature, by chance. */
export function ordersFor(messages: number, keys: number, counts: Counts, random: () => number): Order[] {
  const which = new Map<number, Nature>()
  for (const [nature, count] of Object.entries(counts) as [Nature, number][])
    for (let left = count; left > 0; ) {
      const id = Math.floor(random() * messages)
      if (which.has(id)) continue
      which.set(id, nature)
      left--
    }
  return Array.from({ length: messages }, (_, id) => ({
    id,
    key: Math.floor(random() * keys),
    nature: which.get(id) ?? 'good',
  }))
}
