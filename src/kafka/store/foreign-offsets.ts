import type { MirroredOffset, PartitionPosition } from '../../ports/index.js'
import { mayOverwrite } from '../../storing/foreign.js'
import type { CommittedOffset } from '../client/groups.js'
import { readNote } from './offset-note.js'

/** While another consumer's offset is in the way, Kafka is asked again after so long, ms: a person may have decided. */
const lookAgainAfter = 60_000

interface Look {
  readonly at: number
  /** By topic and partition. */
  readonly foreign: Map<string, CommittedOffset>
}

/**
 * Offsets that other consumers have committed for groups. Kafka is asked once about a group; what was not foreign then is Tidemark's
 * from then on, since whoever commits later had to join the group, and `forget` is called when that is noticed.
 */
export class ForeignOffsets {
  readonly #looks = new Map<string, Promise<Look>>()

  constructor(
    private readonly committed: (group: string) => Promise<readonly CommittedOffset[]>,
    private readonly now: () => number = () => performance.now(),
  ) {}

  /** The position that `offset` must not overwrite; null where there is none. */
  async inTheWayOf(offset: MirroredOffset): Promise<bigint | null> {
    const { group } = offset
    const name = nameOf(offset.stream, offset.partition)
    const { at, foreign } = await (this.#looks.get(group) ?? this.#look(group))
    const known = foreign.get(name)
    if (!known) return null
    if (!mayOverwrite(known.position, offset) && this.now() - at < lookAgainAfter) return known.position
    // It may have moved on since.
    const theirs = (await this.#look(group)).foreign.get(name)?.position ?? null
    return mayOverwrite(theirs, offset) ? null : theirs
  }

  async list(group: string, stream: string): Promise<readonly PartitionPosition[]> {
    const { foreign } = await this.#look(group)
    return [...foreign.values()]
      .filter(({ topic }) => topic === stream)
      .map(({ partition, position }) => ({ partition, position }))
      .sort((a, b) => a.partition - b.partition)
  }

  /** Tidemark has committed there. */
  async overwritten({ group, stream, partition }: MirroredOffset): Promise<void> {
    const look = await this.#looks.get(group)
    look?.foreign.delete(nameOf(stream, partition))
  }

  /** Other consumers of the group are running. */
  forget(group: string): void {
    this.#looks.delete(group)
  }

  #look(group: string): Promise<Look> {
    const look = this.committed(group).then((offsets): Look => {
      const foreign = offsets.filter(({ metadata }) => readNote(metadata) === null)
      return {
        at: this.now(),
        foreign: new Map(foreign.map((one) => [nameOf(one.topic, one.partition), one])),
      }
    })
    this.#looks.set(group, look)
    look.catch(() => {
      if (this.#looks.get(group) === look) this.#looks.delete(group)
    })
    return look
  }
}

function nameOf(topic: string, partition: number): string {
  return `${topic}/${partition}`
}
