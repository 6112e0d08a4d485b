import type { PartitionKey } from '../../model/partition.js'
import type { DatabaseClient, FullLetter, LetterFailure, NewLetter, Transaction } from '../../ports/index.js'

/** The owner of a partition, as the suites of letters need it. */
export interface LetterOwner {
  readonly key: PartitionKey
  /** Runs work in a transaction of the owner, as handlers do. */
  transact(work: (tx: Transaction) => Promise<void>): Promise<void>
  add(...letters: readonly NewLetter[]): Promise<void>
  done(...letters: readonly { readonly id: string }[]): Promise<readonly string[]>
  failed(letter: { readonly id: string }, failure?: Partial<LetterFailure>, dueAt?: number): Promise<void>
  /** Letters to be worked at a time, 0 when absent. */
  due(now?: number, limit?: number): Promise<readonly FullLetter[]>
}

export async function ownerOf({ progress, letters }: DatabaseClient, key: PartitionKey): Promise<LetterOwner> {
  const token = { epoch: 1, batch: 1, attempt: 1, owner: 'tester' }
  await progress.begin(key, { position: 0n, replay: 0, identity: null })
  await progress.claim(key, token, { from: 0n, replay: 0 })
  const transact = (work: (tx: Transaction) => Promise<void>) => progress.transact(key, token, 0n, 0n, work)
  return {
    key,
    transact,
    add: (...added) => transact((tx) => letters.add(tx, key, added)),
    done: async (...ended) => {
      let emptied: readonly string[] = []
      await transact(async (tx) => {
        emptied = await letters.done(
          tx,
          key,
          ended.map(({ id }) => id),
        )
      })
      return emptied
    },
    failed: ({ id }, failure, dueAt) => transact((tx) => letters.failed(tx, key, id, { ...poison, ...failure }, dueAt)),
    due: async (now = 0, limit = 1_000) => (await letters.due(key, { now, limit })).letters,
  }
}

/** Offsets, as numbers. */
export function offsetsOf(letters: readonly { readonly offset: bigint }[]): readonly number[] {
  return letters.map(({ offset }) => Number(offset))
}

export const poison: LetterFailure = {
  ...{ class: 'poison', code: 'TypeError', error: 'x is undefined' },
  ...{ tries: 3, firstAt: 1_700_000_000_000, lastAt: 1_700_000_060_000 },
}

/** A letter that failed. It is the first one of its queue. */
export function failedLetter(offset: number | bigint, queue: string | null, more: Partial<NewLetter> = {}): NewLetter {
  const message = {
    offset: BigInt(offset),
    timestamp: 1_700_000_000_000,
    key: queue === null ? null : Buffer.from(queue),
    value: Buffer.from(`"${offset}"`),
    headers: [],
  }
  return { ...poison, replay: 0, message, queue, state: 'waiting', ...more }
}

/** A letter that came behind another one. */
export function laterLetter(offset: number | bigint, queue: string, more: Partial<NewLetter> = {}): NewLetter {
  const nothing = { code: null, error: '', tries: 0, firstAt: null, lastAt: null }
  return failedLetter(offset, queue, { class: 'behind', ...nothing, ...more })
}
