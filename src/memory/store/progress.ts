import { fenced, positionChanged } from '../../model/fenced.js'
import type { GroupName, PartitionKey } from '../../model/partition.js'
import { compareTokens, type FencingToken, isSameWriter } from '../../model/token.js'
import type { Claimed, Progress, ProgressBeginning, SqlProgressLog, Transaction } from '../../ports/index.js'
import { LetterTable } from './letter-table.js'
import { MemoryChunk } from './transaction.js'
import { MemoryTroubles } from './troubles.js'

export interface ProgressRow extends Progress {
  /** The token was raised, and its writer has not claimed. A replay of -1 then stands for no position. */
  readonly raised: boolean
}

/** Progress in the memory of this process: the fence of a real database, for tests. */
export class MemoryProgress implements SqlProgressLog {
  readonly outranksStore = true

  constructor(
    private readonly rows: Map<string, ProgressRow>,
    private readonly written: unknown[],
    private readonly letters = new LetterTable(),
    private readonly troubles = new MemoryTroubles(),
  ) {}

  async read(key: PartitionKey): Promise<Progress | null> {
    const row = this.rows.get(nameOf(key))
    if (!row || row.replay < 0) return null
    const { raised: _, ...progress } = row
    return progress
  }

  async begin(key: PartitionKey, beginning: ProgressBeginning): Promise<void> {
    const old = this.rows.get(nameOf(key))
    if (old?.replay === beginning.replay) {
      this.rows.set(nameOf(key), { ...old, identity: old.identity ?? beginning.identity })
      return
    }
    if (old && old.replay > beginning.replay) return
    // An older owner's chunk may begin at the very position: the row is nobody's until the next claim.
    const { epoch, batch, attempt } = old?.token ?? { epoch: 0, batch: 0, attempt: 0 }
    this.rows.set(nameOf(key), { ...beginning, witness: null, token: { epoch, batch, attempt }, raised: true })
  }

  async claim(key: PartitionKey, token: FencingToken, { replay }: { replay: number }): Promise<Claimed> {
    const old = this.rows.get(nameOf(key))
    const order = old ? compareTokens(old.token, token) : -1
    if (order > 0 || (order === 0 && !old?.raised)) throw fenced(key, token)
    if (!old || old.replay < 0) throw positionChanged(key, 'has no progress any more')
    if (old.replay !== replay)
      throw positionChanged(key, `has progress of replay ${old.replay}, and this owner expects ${replay}`)
    this.rows.set(nameOf(key), { ...old, token, raised: false })
    const { position, witness } = old
    return { position, witness }
  }

  async raise(key: PartitionKey, token: FencingToken): Promise<void> {
    const old = this.rows.get(nameOf(key))
    if (old && compareTokens(old.token, token) >= 0) return
    const nothing = { position: 0n, replay: -1, identity: null, witness: null }
    this.rows.set(nameOf(key), { ...(old ?? nothing), token, raised: true })
  }

  async advance(key: PartitionKey, token: FencingToken, from: bigint, to: bigint, witness?: string): Promise<void> {
    this.#advance(key, token, from, to, witness)
  }

  #advance(key: PartitionKey, token: FencingToken, from: bigint, to: bigint, witness: string | undefined): void {
    const row = this.#own(key, token)
    if (row.position !== from) throw positionChanged(key, `has come to ${row.position} already`)
    this.rows.set(nameOf(key), { ...row, position: to, witness: witness ?? null })
  }

  async transact(
    key: PartitionKey,
    token: FencingToken,
    from: bigint,
    to: bigint | (() => bigint),
    work: (tx: Transaction) => Promise<void>,
    witness?: string,
  ): Promise<void> {
    const client = new MemoryChunk(this.letters)
    let failure: Error | undefined
    const query = async (): Promise<never> => {
      // As in a database: whoever swallows it has nothing done.
      failure ??= new Error(
        'a memory store knows no SQL: write with tx.client.write(value), or test on a real database',
      )
      throw failure
    }
    this.#own(key, token)
    try {
      await work({ query, copy: query, client })
    } finally {
      client.close()
    }
    if (failure) throw failure
    const commit = client.prepare()
    this.#advance(key, token, from, typeof to === 'function' ? to() : to, witness)
    commit(this.written)
  }

  async delete({ group, stream }: GroupName): Promise<void> {
    const theirs = nameOf({ group, stream, partition: 0 }).replace(/0\]$/, '')
    for (const name of this.rows.keys()) if (name.startsWith(theirs)) this.rows.delete(name)
    this.troubles.deleteOf({ group, stream })
    this.letters.deleteOf({ group, stream })
  }

  #own(key: PartitionKey, token: FencingToken): ProgressRow {
    const row = this.rows.get(nameOf(key))
    if (row && isSameWriter(row.token, token)) return row
    if (row && compareTokens(row.token, token) > 0) throw fenced(key, token)
    throw positionChanged(key, 'has progress that is not its own any more')
  }
}

function nameOf({ group, stream, partition }: PartitionKey): string {
  return JSON.stringify([group, stream, partition])
}
