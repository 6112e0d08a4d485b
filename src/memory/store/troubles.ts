import type { GroupName, PartitionKey } from '../../model/partition.js'
import { compareTokens, type FencingToken } from '../../model/token.js'
import type { Trouble } from '../../model/trouble.js'
import type { TroubleLog } from '../../ports/index.js'
import { shownTrouble } from '../../storing/shown-trouble.js'

/** What partitions can't get past, in the memory of this process. All clients of a store share it. */
export class MemoryTroubles implements TroubleLog {
  readonly #rows = new Map<
    string,
    { readonly key: PartitionKey; readonly token: FencingToken; readonly text: string }
  >()

  async read(key: PartitionKey): Promise<Trouble | null> {
    const row = this.#rows.get(nameOf(key))
    return row ? (JSON.parse(row.text) as Trouble | null) : null
  }

  async write(key: PartitionKey, token: FencingToken, trouble: Trouble | null): Promise<void> {
    const old = this.#rows.get(nameOf(key))
    if (old && compareTokens(old.token, token) > 0) return
    this.#rows.set(nameOf(key), { key, token, text: JSON.stringify(trouble && shownTrouble(trouble)) })
  }

  deleteOf({ group, stream }: GroupName): void {
    for (const [name, { key }] of this.#rows) if (key.group === group && key.stream === stream) this.#rows.delete(name)
  }
}

function nameOf({ group, stream, partition }: PartitionKey): string {
  return JSON.stringify([group, stream, partition])
}
