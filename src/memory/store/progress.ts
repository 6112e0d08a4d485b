import { fenced } from '../../model/fenced.js'
import type { PartitionKey } from '../../model/partition.js'
import { compareTokens, type FencingToken } from '../../model/token.js'
import type { Progress, SqlProgressLog, Transaction } from '../../ports/index.js'

/** What `tx.client` is in a transaction of a memory store: values written through it are kept when the transaction commits. */
export interface MemoryTransaction {
  write(value: unknown): void
}

export interface ProgressRow extends Progress {
  /** The token was raised, and its writer has not claimed. A replay of -1 then stands for no position. */
  readonly raised: boolean
}

/** Progress in the memory of this process: the fence of a real database, for tests. */
export class MemoryProgress implements SqlProgressLog {
  constructor(
    private readonly rows: Map<string, ProgressRow>,
    private readonly written: unknown[],
  ) {}

  async read(key: PartitionKey): Promise<Progress | null> {
    const row = this.rows.get(nameOf(key))
    if (!row || row.replay < 0) return null
    const { position, token, replay } = row
    return { position, token, replay }
  }

  async claim(
    key: PartitionKey,
    token: FencingToken,
    { from, replay }: { from: bigint; replay: number },
  ): Promise<bigint> {
    const old = this.rows.get(nameOf(key))
    const order = old ? compareTokens(old.token, token) : -1
    if (order > 0 || (order === 0 && !old?.raised)) throw fenced(key, token)
    const position = old && old.replay >= replay ? old.position : from
    this.rows.set(nameOf(key), { position, token, replay: Math.max(old?.replay ?? 0, replay), raised: false })
    return position
  }

  async raise(key: PartitionKey, token: FencingToken): Promise<void> {
    const old = this.rows.get(nameOf(key))
    if (old && compareTokens(old.token, token) >= 0) return
    const { position, replay } = old ?? { position: 0n, replay: -1 }
    this.rows.set(nameOf(key), { position, token, replay, raised: true })
  }

  async advance(key: PartitionKey, token: FencingToken, from: bigint, to: bigint): Promise<void> {
    const row = this.rows.get(nameOf(key))
    if (!row || compareTokens(row.token, token) !== 0 || row.position !== from) throw fenced(key, token)
    this.rows.set(nameOf(key), { ...row, position: to })
  }

  async transact(
    key: PartitionKey,
    token: FencingToken,
    from: bigint,
    to: bigint | (() => bigint),
    work: (tx: Transaction) => Promise<void>,
  ): Promise<void> {
    const staged: unknown[] = []
    let over = false
    let failure: Error | undefined
    const client: MemoryTransaction = {
      write: (value) => {
        if (over) throw new Error('the transaction of this chunk is over: write before the handler returns')
        staged.push(value)
      },
    }
    const query = async (): Promise<never> => {
      // As in a database: whoever swallows it has nothing done.
      failure ??= new Error(
        'a memory store knows no SQL: write with tx.client.write(value), or test on a real database',
      )
      throw failure
    }
    const row = this.rows.get(nameOf(key))
    if (!row || compareTokens(row.token, token) !== 0) throw fenced(key, token)
    try {
      await work({ query, copy: query, client })
    } finally {
      over = true
    }
    if (failure) throw failure
    await this.advance(key, token, from, typeof to === 'function' ? to() : to)
    this.written.push(...staged)
  }
}

function nameOf({ group, stream, partition }: PartitionKey): string {
  return JSON.stringify([group, stream, partition])
}
