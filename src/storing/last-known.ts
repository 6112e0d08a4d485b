import type { PartitionKey } from '../model/partition.js'
import type { DatabaseClient, StoredOffset } from '../ports/index.js'

/** How far a partition has come, and under whom. */
export type Known = Pick<StoredOffset, 'position' | 'epoch' | 'replay'>

/**
 * What is known of a partition besides what a log says that keeps offsets: it forgets them, and lets anybody overwrite them. The progress of
 * handlers knows who owned it last, where it is kept in the store's database; and this process knows what it has written.
 */
export class LastKnown {
  readonly #written = new Map<string, Known>()

  constructor(private readonly database: () => Promise<DatabaseClient>) {}

  wrote(key: PartitionKey, { position, epoch, replay }: Known): void {
    if ((this.written(key)?.epoch ?? 0) <= epoch) this.#written.set(nameOf(key), { position, epoch, replay })
  }

  /** What this process has written under the newest owner it knows of. */
  written(key: PartitionKey): Known | undefined {
    return this.#written.get(nameOf(key))
  }

  async of({ group, stream, partition }: PartitionKey): Promise<Known | null> {
    const key = { group, stream, partition }
    const written = this.written(key) ?? null
    const progress = await (await this.database()).progress.read(key)
    // Begun, and worked by nobody: it tells nothing that the store did not say.
    if (!progress || progress.token.epoch === 0) return written
    const handled = { position: progress.position, epoch: progress.token.epoch, replay: progress.replay }
    return furthest(handled, written)
  }
}

/** Of the newer replay; of one, the furthest position and the newest owner. */
export function furthest(one: Known, other: Known | null): Known {
  if (!other || one.replay > other.replay) return one
  if (other.replay > one.replay) return other
  const [epoch, position] = [Math.max(one.epoch, other.epoch), max(one.position, other.position)]
  return { position, epoch, replay: one.replay }
}

function nameOf({ group, stream, partition }: PartitionKey): string {
  return JSON.stringify([group, stream, partition])
}

function max(a: bigint, b: bigint): bigint {
  return a > b ? a : b
}
