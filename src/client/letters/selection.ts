import { TidemarkError } from '../../model/errors.js'
import type { GroupName } from '../../model/partition.js'
import { type Duration, parseDuration } from '../../model/units.js'
import type { DeadLetters, LetterClass, LetterFilter, LetterState } from '../../ports/index.js'
import { findConsumers, type Wanted } from '../find.js'
import type { Session } from '../session.js'

/** Which dead letters are meant: those that everything given here holds of. */
export interface LetterSelection extends Wanted {
  readonly partitions?: readonly number[]
  /** Numbers of letters. */
  readonly ids?: readonly string[]
  /** The key of their messages. */
  readonly key?: string
  readonly class?: LetterClass
  /** The error's code, or the class of what was thrown. */
  readonly code?: string
  /** Set aside so long ago at least. */
  readonly olderThan?: Duration
  /** Default: those that are not done with. */
  readonly states?: readonly LetterState[]
}

/** Letters of one consumer, in the database that its handler writes to. */
export interface SelectedLetters {
  readonly name: GroupName
  readonly letters: DeadLetters
  readonly filter: LetterFilter & GroupName
}

export const letterClasses: readonly LetterClass[] = ['poison', 'undecodable', 'crash', 'later', 'behind']
export const letterStates: readonly LetterState[] = ['waiting', 'due', 'leaving', 'redriven', 'discarded', 'skipped']

/**
 * Where the letters that are meant are, by consumer.
 *
 * @throws TidemarkError UNKNOWN_CONSUMER for what the config does not have; CONFIG_INVALID for a number that no letter of it has, or that
 *   letters in two databases have; UNREACHABLE
 */
export async function selected(session: Session, selection: LetterSelection): Promise<readonly SelectedLetters[]> {
  const { group, stream, partitions, ids, key, class: kind, code, olderThan, states } = selection
  const wanted = { ...(group === undefined ? {} : { group }), ...(stream === undefined ? {} : { stream }) }
  const all = await Promise.all(
    findConsumers(session.config, wanted).map(async (consumer) => {
      const name = { group: consumer.settings.group, stream: consumer.settings.stream }
      const filter = {
        ...name,
        ...(partitions && { partitions }),
        ...(key === undefined ? {} : { key }),
        ...(kind === undefined ? {} : { class: kind }),
        ...(code === undefined ? {} : { code }),
        ...(olderThan === undefined ? {} : { olderThanMs: lengthOf(olderThan) }),
        ...(states && { states }),
      }
      return { name, letters: (await session.progressDatabase(consumer)).letters, filter }
    }),
  )
  return ids ? withIds(all, ids) : all
}

/** The consumers that have letters with these numbers, each with its own. */
async function withIds(all: readonly SelectedLetters[], ids: readonly string[]): Promise<readonly SelectedLetters[]> {
  const found = await Promise.all(
    all.map(async ({ name, letters }) => {
      const theirs = await letters.list({ ...name, ids, states: letterStates }, { limit: ids.length })
      return theirs.map(({ id }) => id)
    }),
  )
  for (const id of ids) {
    const owners = all.filter((_, index) => found[index]!.includes(id))
    if (owners.length === 1) continue
    if (owners.length === 0) throw noSuchLetter(id, all)
    throw new TidemarkError(
      'CONFIG_INVALID',
      `several databases have a dead letter ${id}: name the group and the stream, one of ${namesOf(owners)}`,
    )
  }
  return all.flatMap((one, index) =>
    found[index]!.length === 0 ? [] : [{ ...one, filter: { ...one.filter, ids: found[index]! } }],
  )
}

export function noSuchLetter(id: string, all: readonly SelectedLetters[]): TidemarkError {
  const whose = all.length > 3 ? "the config's groups" : namesOf(all)
  return new TidemarkError(
    'CONFIG_INVALID',
    `there is no dead letter ${id} of ${whose}: 'tidemark dead-letters list' shows which there are`,
  )
}

function namesOf(all: readonly SelectedLetters[]): string {
  return all.map(({ name }) => `${name.group} on ${name.stream}`).join(', ')
}

function lengthOf(olderThan: Duration): number {
  const ms = parseDuration(olderThan)
  if (ms !== undefined) return ms
  throw new TidemarkError('CONFIG_INVALID', `olderThan: '${olderThan}' is no length of time, for example '15m' or '1d'`)
}

/** For people: how many letters, of how many keys. */
export function sumOf(counts: readonly LetterSum[]): LetterSum {
  const sum = (of: keyof LetterSum) => counts.reduce((all, one) => all + one[of], 0)
  return { letters: sum('letters'), keys: sum('keys'), partitions: sum('partitions'), behind: sum('behind') }
}

export interface LetterSum {
  readonly letters: number
  /** Keys that keep their order. Letters without such a key are not counted here. */
  readonly keys: number
  readonly partitions: number
  /** Letters that only came behind others of their key. */
  readonly behind: number
}
