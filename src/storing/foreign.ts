import type { MirroredOffset } from '../ports/index.js'

/**
 * Whether a mirror may show `offset` where another consumer of the same name has left the position `theirs`. A mirror destroys nothing
 * that somebody may still need: it overwrites only the same position, or one that Tidemark's group has handled past.
 *
 * @param theirs null where nothing is, or where Tidemark has written what is
 */
export function mayOverwrite(
  theirs: bigint | null,
  { position, handled = false }: Pick<MirroredOffset, 'position' | 'handled'>,
): boolean {
  return theirs === null || theirs === position || (handled && theirs < position)
}
