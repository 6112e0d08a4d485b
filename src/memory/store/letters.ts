import type { GroupName, PartitionKey } from '../../model/partition.js'
import type {
  DeadLetters,
  LetterFailure,
  LetterFilter,
  NewLetter,
  ParkedQueues,
  Transaction,
} from '../../ports/index.js'
import { countOf, fullLetterOf, inOrder, isOpen, letterOf } from './letter-row.js'
import type { KnownLetter, LetterTable } from './letter-table.js'
import { MemoryChunk } from './transaction.js'

/** Dead letters in the memory of this process, with the rules of a real store. */
export class MemoryLetters implements DeadLetters {
  /** By partition, the versions of the letters that `due` gave last. One that a person has changed since is another letter. */
  readonly #given = new Map<string, ReadonlyMap<string, number>>()

  constructor(private readonly table: LetterTable) {}

  async parked(key: PartitionKey): Promise<ParkedQueues> {
    const open = this.table.open(key)
    const times = open.flatMap(({ state, dueAt }) => (state !== 'waiting' ? [0] : dueAt === null ? [] : [dueAt]))
    return {
      queues: [...new Set(open.map(({ queue }) => queue))].filter((queue) => queue !== null),
      letters: open.length,
      oldestMs: open.length === 0 ? null : Date.now() - Math.min(...open.map(({ at }) => at.getTime())),
      nextDue: times.length === 0 ? null : Math.min(...times),
    }
  }

  async add(tx: Transaction, key: PartitionKey, letters: readonly NewLetter[]): Promise<void> {
    changeIn(tx, (table) => table.add(key, letters))
  }

  async due(
    key: PartitionKey,
    { now, limit, bytes = Number.POSITIVE_INFINITY }: Parameters<DeadLetters['due']>[1],
  ): ReturnType<DeadLetters['due']> {
    let left = bytes
    const rows = this.table
      .due(key, now)
      .slice(0, limit)
      .filter((row, index) => {
        left -= row.bytes
        return index === 0 || left >= 0
      })
    this.#given.set(nameOf(key), new Map(rows.map(({ id, version }) => [id, version])))
    const rates = rows.flatMap(({ perSecond }) => perSecond ?? [])
    return { letters: rows.map(fullLetterOf), perSecond: rates.length === 0 ? null : Math.min(...rates) }
  }

  async done(tx: Transaction, key: PartitionKey, ids: readonly string[]): Promise<readonly string[]> {
    const letters = [...new Set(ids)].map((id) => this.#known(key, id))
    return changeIn(tx, (table) => table.done(key, letters))
  }

  async failed(
    tx: Transaction,
    key: PartitionKey,
    id: string,
    failure: LetterFailure,
    dueAt: number | null = null,
  ): Promise<void> {
    const letter = this.#known(key, id)
    changeIn(tx, (table) => table.failed(key, letter, failure, dueAt))
  }

  async list(
    filter: LetterFilter,
    { limit, after }: Parameters<DeadLetters['list']>[1],
  ): ReturnType<DeadLetters['list']> {
    const last = after === undefined ? undefined : this.table.read(after)
    if (after !== undefined && !last) return []
    const rows = this.table.find(filter).filter((row) => !last || inOrder(row, last) > 0)
    return rows.slice(0, limit).map(letterOf)
  }

  async count(filter: LetterFilter): ReturnType<DeadLetters['count']> {
    return countOf(this.table.find(filter))
  }

  async read(id: string): ReturnType<DeadLetters['read']> {
    const row = this.table.read(id)
    return row ? fullLetterOf(row) : null
  }

  async request(...[filter, request]: Parameters<DeadLetters['request']>): ReturnType<DeadLetters['request']> {
    const rows = this.table.request(filter, request)
    const owners = new Map(rows.map(({ key }) => [nameOf(key), key]))
    return { ...countOf(rows), owners: [...owners.values()] }
  }

  async correct(id: string, value: Buffer | null, by: string, reason: string): Promise<boolean> {
    return this.table.correct(id, value, by, reason)
  }

  async expire({ group, stream }: GroupName, olderThanMs: number, limit: number): Promise<number> {
    const before = Date.now() - olderThanMs
    const old = this.table
      .find({ group, stream, states: ['redriven', 'discarded', 'skipped'] })
      .filter(({ doneAt }) => doneAt !== null && doneAt.getTime() < before)
      .slice(0, limit)
    const ids = new Set(old.map(({ id }) => id))
    this.table.delete((row) => !isOpen(row) && ids.has(row.id))
    return old.length
  }

  #known(key: PartitionKey, id: string): KnownLetter {
    return { id, version: this.#given.get(nameOf(key))?.get(id) }
  }
}

function changeIn<T>(tx: Transaction, change: (table: LetterTable) => T): T {
  const { client } = tx
  if (!(client instanceof MemoryChunk)) throw new TypeError('not a transaction of a memory store')
  return client.change(change)
}

function nameOf({ group, stream, partition }: PartitionKey): string {
  return JSON.stringify([group, stream, partition])
}
