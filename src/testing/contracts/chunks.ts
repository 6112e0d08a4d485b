import type { Chunk, Message, Reader } from '../../ports/index.js'

/** Long enough for a source to answer on a busy machine. */
export const soon = 20_000

type Limits = { readonly maxMessages?: number; readonly waitMs?: number }

/** The next chunk; an error when none comes. */
export async function nextChunk<V>(
  reader: Reader<V>,
  { maxMessages = 1_000, waitMs = soon }: Limits = {},
): Promise<Chunk<V>> {
  const chunk = await reader.next({ maxMessages, waitMs })
  if (!chunk) throw new Error(`no chunk came within ${waitMs} ms`)
  return chunk
}

/** Reads until `count` messages came, or `until` says so, releasing each chunk. */
export async function follow<V>(
  reader: Reader<V>,
  count: number,
  limits: Limits = {},
  until: (chunk: Chunk<V>) => boolean = () => false,
): Promise<{ messages: Message<V>[]; chunks: Chunk<V>[] }> {
  const messages: Message<V>[] = []
  const chunks: Chunk<V>[] = []
  while (messages.length < count) {
    const chunk = await nextChunk(reader, limits)
    for (const message of chunk.messages) messages.push(message)
    chunks.push(chunk)
    chunk.release()
    if (until(chunk)) break
    if (chunk.poison) throw chunk.poison.error
  }
  return { messages, chunks }
}

export async function take<V>(reader: Reader<V>, count: number): Promise<Message<V>[]> {
  return (await follow(reader, count)).messages
}
