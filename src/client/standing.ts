import type { ParsedConsumer } from '../config/parse.js'
import type { Progress, SeenOffset, StoredOffset } from '../ports/index.js'
import type { Session } from './session.js'

/** Where a partition's handlers go on, by the store and by their own progress. Needs no worker. */
export interface Standing {
  /** Null where nothing is known of the partition: its consumer's `start` decides. */
  readonly position: bigint | null
  /** The ownership that the store knows; null where it knows none. */
  readonly seen: SeenOffset | null
}

export async function standingOf(session: Session, consumer: ParsedConsumer, partition: number): Promise<Standing> {
  const { group, stream } = consumer.settings
  const store = await session.store()
  const { progress } = await session.progressDatabase(consumer)
  const [rows, done] = await Promise.all([store.read(group, stream), progress.read({ group, stream, partition })])
  const stored = rows.find((row) => row.partition === partition)
  return {
    position: furthest(stored, done),
    seen: stored ? { epoch: stored.epoch, replay: stored.replay } : null,
  }
}

/** Progress moves with each chunk, the store behind it. Progress of an older replay says nothing of this one. */
function furthest(stored: StoredOffset | undefined, done: Progress | null): bigint | null {
  if (!stored || !done) return stored?.position ?? done?.position ?? null
  if (done.replay !== stored.replay) return done.replay > stored.replay ? done.position : stored.position
  return done.position > stored.position ? done.position : stored.position
}
