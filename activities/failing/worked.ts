import type { PartitionKey } from '../../src/model/partition.js'
import type { FencingToken } from '../../src/model/token.js'
import type { Chunk, Message } from '../../src/ports/index.js'
import type { Interrupt } from '../batch/interrupt.js'
import type { TemporalClock } from './temporal-clock.js'

/** Whose chunks are handled: one attempt of one batch of a partition. */
export interface Worked {
  readonly key: PartitionKey
  readonly token: FencingToken
  readonly replay: number
  readonly clock: TemporalClock
}

/** How a chunk's partition goes along with it. */
export interface Along {
  /** The batch wants no other piece to be begun. */
  stops(): boolean
  /** Everything before the end of the piece is done; what was handled of it is less where messages were set aside. */
  done(piece: Chunk, handled: readonly Message[]): Promise<void>
  readonly interrupt: Interrupt
}

/** A partition among all of a worker's. */
export function nameOf({ group, stream, partition }: PartitionKey): string {
  return `${group}\n${stream}\n${partition}`
}
