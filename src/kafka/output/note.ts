import type { FencingToken } from '../../model/token.js'

/** What stands beside a position: who wrote it, and in which replay. */
export interface Noted {
  readonly token: FencingToken
  readonly replay: number
  /** The token was raised, and its writer has not claimed. A replay of -1 then stands for no position. */
  readonly raised?: boolean
  /** Of the message before the position: `Chunk.witness`. */
  readonly witness?: string
}

/** The text of an offset's metadata: `epoch.batch.attempt/replay`, with ` raised` and ` behind WITNESS` after it. */
export function noteOf({ token: { epoch, batch, attempt }, replay, raised, witness }: Noted): string {
  const behind = witness === undefined ? '' : ` behind ${witness}`
  return `${epoch}.${batch}.${attempt}/${replay}${raised ? ' raised' : ''}${behind}`
}

/** Reads it. An offset that somebody else has written (kafka-consumer-groups.sh) counts as older than any owner's. */
export function readNote(text: string | null): Noted {
  const match = /^(\d+)\.(\d+)\.(\d+)\/(-1|\d+)( raised)?(?: behind (.+))?$/s.exec(text ?? '')
  if (!match) return { token: { epoch: 0, batch: 0, attempt: 0 }, replay: 0 }
  const [epoch, batch, attempt, replay] = match.slice(1, 5).map(Number) as [number, number, number, number]
  const [raised, witness] = match.slice(5)
  return { token: { epoch, batch, attempt }, replay, ...(raised && { raised: true }), ...(witness && { witness }) }
}
