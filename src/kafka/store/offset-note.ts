/** What Tidemark writes beside an offset, where Kafka has room for a text of a few kilobytes. */
export interface OffsetNote {
  readonly epoch: number
  readonly replay: number
  /** Incarnation of the stream; null where none is known. */
  readonly identity?: string | null
  /** Milliseconds since 1970: Kafka does not tell when an offset was committed. */
  readonly at?: number
}

/** Version of the note, and its mark: other consumers write other things, or nothing. */
const version = 1

export function writeNote({ epoch, replay, ...rest }: OffsetNote): string {
  return JSON.stringify({ tidemark: version, epoch, replay, ...rest })
}

/** Null for what is not Tidemark's. */
export function readNote(metadata: string): OffsetNote | null {
  let found: unknown
  try {
    found = JSON.parse(metadata)
  } catch {
    return null
  }
  if (typeof found !== 'object' || found === null) return null
  const { tidemark, epoch, replay, identity, at } = found as Record<string, unknown>
  if (typeof tidemark !== 'number' || !isCount(epoch) || !isCount(replay)) return null
  return {
    epoch,
    replay,
    identity: typeof identity === 'string' ? identity : null,
    at: isCount(at) ? at : 0,
  }
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}
