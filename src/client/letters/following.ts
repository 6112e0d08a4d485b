import { setTimeout as sleep } from 'node:timers/promises'
import { describePartition } from '../../model/partition.js'
import type { DeadLetters } from '../../ports/index.js'
import { findConsumer } from '../find.js'
import type { Session } from '../session.js'
import type { RequestedLetters, RequestedOfGroup } from './requests.js'

/** How far the owners have come with what was asked for. */
export interface LetterProgress {
  readonly letters: number
  readonly done: number
  /** Wait again: one that has failed, and those behind it. */
  readonly again: number
  readonly left: number
  /** The latest failure, in a sentence. */
  readonly failure: string | null
}

const every = 500
const lettersAtOnce = 1_000

/**
 * Follows what was asked for until the owners are through with it, or `signal` is aborted. The work is theirs: nothing depends on who watches.
 *
 * @param by who has asked
 * @param onProgress called with what has changed
 * @param onSilence called once, where nothing has happened for `silenceMs`
 */
export async function followed(
  session: Session,
  requested: RequestedLetters,
  options: {
    readonly by: string
    readonly signal: AbortSignal
    readonly onProgress: (progress: LetterProgress) => void
    readonly onSilence: () => void
    readonly silenceMs?: number
  },
): Promise<LetterProgress> {
  const { by, signal, onProgress, onSilence, silenceMs = 15_000 } = options
  const parts = await Promise.all(requested.groups.map((group) => partOf(session, group, by)))
  let before = ''
  let changedAt = performance.now()
  let isSilent = false
  for (;;) {
    const looks = await Promise.all(parts.map((look) => look()))
    const sum = (of: 'left' | 'again') => looks.reduce((all, one) => all + one[of], 0)
    const [left, again] = [sum('left'), sum('again')]
    const { letters } = requested
    const failures = looks.flatMap(({ failure }) => failure ?? []).sort((a, b) => b.at - a.at)
    const done = Math.max(0, letters - left - again)
    const progress = { letters, done, again, left, failure: failures[0]?.text ?? null }
    const text = JSON.stringify(progress)
    if (text !== before) {
      onProgress(progress)
      changedAt = performance.now()
    } else if (!isSilent && performance.now() - changedAt > silenceMs) {
      isSilent = true
      onSilence()
    }
    before = text
    if (left === 0 || signal.aborted) return progress
    await sleep(every, undefined, { signal }).catch(() => {})
  }
}

interface Look {
  readonly left: number
  readonly again: number
  readonly failure: { readonly at: number; readonly text: string } | null
}

/** Looks at the letters of one group. */
async function partOf(
  session: Session,
  { group, stream, owners, failedBefore }: RequestedOfGroup,
  by: string,
): Promise<() => Promise<Look>> {
  const { letters } = await session.progressDatabase(findConsumer(session.config, { group, stream }))
  const filter = { group, stream, partitions: owners, askedBy: by }
  return async () => {
    const { letters: left } = await letters.count({ ...filter, states: ['due', 'leaving'] })
    const waiting = await letters.count({ ...filter, states: ['waiting'] })
    const again = Math.max(0, waiting.letters - failedBefore)
    return { left, again, failure: again > 0 ? await latestFailure(letters, filter) : null }
  }
}

async function latestFailure(
  letters: DeadLetters,
  filter: Parameters<DeadLetters['list']>[0],
): Promise<Look['failure']> {
  const waiting = await letters.list({ ...filter, states: ['waiting'] }, { limit: lettersAtOnce })
  const [latest] = waiting
    .filter(({ returns, lastAt }) => returns > 0 && lastAt !== null)
    .sort((a, b) => b.lastAt! - a.lastAt!)
  if (!latest) return null
  const { key, offset, error, lastAt, code } = latest
  return { at: lastAt!, text: `${describePartition(key)} offset ${offset}: ${error || code || 'unknown'}` }
}
