import type { Progress, StoredOffset } from '../../src/ports/index.js'

/** What is known of a partition that is to be opened. */
export interface Known {
  /** By the offset store. */
  readonly stored: StoredOffset | undefined
  /** By the progress of its handlers. */
  readonly done: Progress | null
  /** Whether what has lost progress has lost the handlers' effects with it. */
  readonly outranksStore: boolean
  /** Where a person, or a policy, put the position last; null where nobody did. Asked for only where it matters. */
  readonly lastMove: () => Promise<bigint | null>
}

/** Where a partition goes on. */
export type Where =
  | {
      readonly where: 'there'
      readonly position: bigint
      readonly replay: number
      readonly identity: string | null
      /** Why the store's position is wrong, for people; absent where it is right, or follows by itself. */
      readonly moved?: string
      /** What to warn of. */
      readonly warning?: string
    }
  /** Neither knows the partition: the start option decides. */
  | { readonly where: 'start' }
  /** Something is lost that would have to be known. */
  | { readonly where: 'lost'; readonly why: string }

/**
 * Where to go on, by the two places that know. The store holds what was committed; progress, moved together with the effects, what was
 * handled, and begins before anything is stored. So each tells when the other was emptied, or set back to an older state.
 */
export async function whereToGoOn(known: Known): Promise<Where> {
  const { stored, done, outranksStore } = known
  if (!stored && !done) return { where: 'start' }
  if (!stored) return withoutStore(done!)
  const there = { where: 'there', ...of(stored) } as const
  // Another client of the log has left it: nobody has opened the partition since.
  if (stored.epoch === 0) return done ? { ...there, replay: done.replay + 1 } : there
  if (!done)
    return outranksStore
      ? {
          where: 'lost',
          why: `the store says ${stored.position}, but the handlers' database knows nothing of the partition: it was emptied, or is another one now`,
        }
      : there
  if (done.replay < stored.replay) return outranksStore ? newerReplay(stored, known) : there
  const handled = { where: 'there', ...of(done), identity: done.identity ?? stored.identity } as const
  if (done.replay > stored.replay)
    return {
      ...handled,
      moved: `the offset store was set back: it has position ${stored.position} of replay ${stored.replay}, and the handlers have come to ${done.position} of replay ${done.replay}`,
    }
  if (done.position >= stored.position) return handled
  if (!outranksStore) return there
  return {
    ...handled,
    moved: `the handlers' database was set back: what was handled from ${done.position} to ${stored.position} is gone there, and is handled again`,
  }
}

function withoutStore(done: Progress): Where {
  const there = { where: 'there', ...of(done) } as const
  // Its opening has come no further.
  if (done.token.epoch === 0) return there
  return {
    ...there,
    warning: `the offset store does not know the partition any more: it goes on at ${done.position}, where its handlers are`,
  }
}

/** Nobody has handled anything in the store's replay. So the position has to be where that replay begins. */
async function newerReplay(stored: StoredOffset, { lastMove }: Known): Promise<Where> {
  const there = { where: 'there', ...of(stored) } as const
  const began = await lastMove()
  if (began === null || began >= stored.position) return there
  return {
    ...there,
    position: began,
    moved: `the handlers' database was set back to before the position was put at ${began}: what was handled from there to ${stored.position} is gone there, and is handled again`,
  }
}

function of({ position, replay, identity }: Pick<StoredOffset, 'position' | 'replay' | 'identity'>) {
  return { position, replay, identity }
}
