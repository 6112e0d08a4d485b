import type { GroupName, PartitionKey } from '../../model/partition.js'
import type { DeadLetters, LetterFailure, LetterFilter, LetterState, NewLetter } from '../../ports/index.js'
import { letterChanged, onlyReference, strandedLetters } from '../../storing/letter-errors.js'
import { shownText } from '../../storing/shown-text.js'
import { copyOf, inOrder, isOpen, type LetterRow, matchesLetter, queueName } from './letter-row.js'

type Request = Parameters<DeadLetters['request']>[1]
/** A letter as its owner knows it. Without a version, any will do. */
export interface KnownLetter {
  readonly id: string
  readonly version: number | undefined
}

/**
 * Letters, and what may become of them. As in a database, letters of a queue that are not `leaving` are all due, or all wait, until the same
 * time where there is one.
 */
export class LetterTable {
  #rows = new Map<string, LetterRow>()
  #next = 1

  /** Another table with the same letters. */
  copy(): LetterTable {
    const copy = new LetterTable()
    copy.replace(this)
    return copy
  }

  /** Makes another table's letters its own. */
  replace(by: LetterTable): void {
    this.#rows = new Map(by.#rows)
    this.#next = by.#next
  }

  /** By offset. */
  find(filter: LetterFilter): LetterRow[] {
    return [...this.#rows.values()].filter(matchesLetter(filter)).sort(inOrder)
  }

  read(id: string): LetterRow | undefined {
    return this.#rows.get(id)
  }

  delete(which: (row: LetterRow) => boolean): void {
    for (const row of this.#rows.values()) if (which(row)) this.#rows.delete(row.id)
  }

  deleteOf({ group, stream }: GroupName): void {
    this.delete(({ key }) => key.group === group && key.stream === stream)
  }

  /** Letters of a partition that are not done with. */
  open({ group, stream, partition }: PartitionKey): LetterRow[] {
    return this.find({ group, stream, partitions: [partition] })
  }

  add(key: PartitionKey, letters: readonly NewLetter[]): void {
    const { group, stream, partition } = key
    const open = this.open(key)
    const there = new Map(open.map((row) => [row.offset, row]))
    const queues = new Map<string, LetterRow[]>()
    for (const row of open) if (row.queue !== null) queues.set(row.queue, [...(queues.get(row.queue) ?? []), row])
    for (const letter of letters) {
      const { message, queue, state, replay, reference = false, class: kind, tries, firstAt, lastAt } = letter
      const skipped = state === 'skipped'
      const same = there.get(message.offset)
      const comesAgain = same?.state === 'leaving' && same.replay < replay && !skipped
      if (same && !comesAgain) continue
      const queued = queue === null || skipped ? undefined : queues.get(queue)
      const before = queued?.findLast((row) => row.state !== 'leaving')
      const joins = before?.state === 'due' ? before : undefined
      const row: LetterRow = {
        ...{
          id: same?.id ?? String(this.#next++),
          key: { group, stream, partition },
          replay,
          offset: message.offset,
          queue,
        },
        ...{ class: kind, code: letter.code === null ? null : shownText(letter.code), error: shownText(letter.error) },
        ...{ tries, firstAt, lastAt, reference, returns: 0, corrected: false },
        state: skipped ? 'skipped' : queued && before?.state !== 'waiting' ? 'due' : 'waiting',
        dueAt: skipped ? null : queued ? (before?.dueAt ?? null) : (letter.dueAt ?? null),
        bytes: (message.key?.length ?? 0) + (message.value?.length ?? 0),
        message: skipped || reference ? null : copyOf(message),
        at: new Date(),
        ...{ by: joins?.by ?? null, reason: joins?.reason ?? null, perSecond: joins?.perSecond ?? null },
        ...{ version: (same?.version ?? 0) + 1, doneAt: skipped ? new Date() : null },
      }
      this.#rows.set(row.id, row)
      if (skipped) continue
      there.set(row.offset, row)
      if (queue !== null) queues.set(queue, [...(queued ?? []), row])
    }
  }

  due(key: PartitionKey, now: number): LetterRow[] {
    return this.open(key).filter(({ state, dueAt }) => state !== 'waiting' || (dueAt !== null && dueAt <= now))
  }

  /** Returns the queues that are empty now. */
  done(key: PartitionKey, letters: readonly KnownLetter[]): readonly string[] {
    const rows = letters.map((letter) => {
      const row = this.#known(key, letter)
      if (!row || (row.state === 'waiting' && row.dueAt === null))
        throw letterChanged(
          key,
          letters.map(({ id }) => id),
        )
      return row
    })
    for (const row of rows) {
      const state: LetterState = row.state === 'leaving' ? 'discarded' : 'redriven'
      this.#change(row, { state, doneAt: new Date(), message: null, dueAt: null })
    }
    const left = new Set(this.open(key).map(({ queue }) => queue))
    return [...new Set(rows.map(({ queue }) => queue))].filter(
      (queue) => queue !== null && !left.has(queue),
    ) as string[]
  }

  failed(key: PartitionKey, letter: KnownLetter, failure: LetterFailure, dueAt: number | null): void {
    const failed = this.#known(key, letter)
    if (!failed) throw letterChanged(key, [letter.id])
    const { class: kind, code, error, tries, firstAt, lastAt } = failure
    const behind = this.open(key).filter((row) => row.queue !== null && row.queue === failed.queue)
    for (const row of new Set([failed, ...behind])) {
      const waits = row.state === 'leaving' ? {} : { state: 'waiting' as const, dueAt }
      if (row.id !== failed.id) this.#change(row, { ...waits, perSecond: null })
      else
        this.#change(row, {
          ...{
            ...waits,
            perSecond: null,
            class: kind,
            code: code === null ? null : shownText(code),
            error: shownText(error),
          },
          ...{ returns: row.returns + 1, tries: row.tries + tries, firstAt: row.firstAt ?? firstAt, lastAt },
        })
    }
  }

  /** Returns the letters that are changed, or would be. */
  request(filter: LetterFilter, { what, by, reason, perSecond, followers, dryRun }: Request): readonly LetterRow[] {
    const meant = this.find(filter).filter(isOpen)
    const asked = { by: shownText(by), reason: shownText(reason), dueAt: null }
    const make = (rows: readonly LetterRow[], state: 'due' | 'leaving' | 'waiting') =>
      dryRun
        ? rows
        : rows.map((row) =>
            this.#change(row, { ...asked, state, perSecond: state === 'due' ? (perSecond ?? null) : null }),
          )
    if (what !== 'discard') {
      const all = [...new Set([...meant, ...this.#standing(meant)])]
      if (what === 'cancel')
        return make(
          all.filter(({ state, dueAt }) => state !== 'waiting' || dueAt !== null),
          'waiting',
        )
      return make(what === 'now' ? all.filter(({ state, dueAt }) => state === 'waiting' && dueAt !== null) : all, 'due')
    }
    const behind = this.#followers(meant)
    const waiting = behind.filter(({ state }) => state === 'waiting')
    const [first] = waiting
    if (first && !followers)
      throw strandedLetters(waiting.length, new Set(waiting.map(queueName)).size, first.key, String(first.offset))
    const others =
      followers === 'redrive' ? make(waiting, 'due') : followers === 'discard' ? make(behind, 'leaving') : []
    return [...make(meant, 'leaving'), ...others]
  }

  correct(id: string, value: Buffer | null, by: string, reason: string): boolean {
    const row = this.#rows.get(id)
    if (!row || !isOpen(row)) return false
    if (!row.message) throw onlyReference(id, row.key, String(row.offset))
    const { whole: _, ...rest } = row.message
    const message = copyOf({ ...rest, value })
    const bytes = (message.key?.length ?? 0) + (message.value?.length ?? 0)
    this.#change(row, { message, bytes, corrected: true, by: shownText(by), reason: shownText(reason) })
    return true
  }

  /** Letters of the queues of others that have a place there. */
  #standing(of: readonly LetterRow[]): LetterRow[] {
    const queues = new Set(of.map(queueName).filter((name) => name !== null))
    return [...this.#rows.values()]
      .filter((row) => isOpen(row) && row.state !== 'leaving' && queues.has(queueName(row) ?? ''))
      .sort(inOrder)
  }

  /** Letters that stay in queues whose first letter is meant. */
  #followers(meant: readonly LetterRow[]): LetterRow[] {
    const [ids, standing] = [new Set(meant.map(({ id }) => id)), this.#standing(meant)]
    const firstOf = (rows: readonly LetterRow[], name: string | null) => rows.find((row) => queueName(row) === name)
    return standing.filter((row) => {
      const [first, firstMeant] = [firstOf(standing, queueName(row)), firstOf(meant, queueName(row))]
      return !ids.has(row.id) && !!first && !!firstMeant && inOrder(firstMeant, first) <= 0
    })
  }

  #known({ group, stream, partition }: PartitionKey, { id, version }: KnownLetter): LetterRow | null {
    const row = this.#rows.get(id)
    if (!row || !isOpen(row) || (version !== undefined && row.version !== version)) return null
    return row.key.group === group && row.key.stream === stream && row.key.partition === partition ? row : null
  }

  #change(row: LetterRow, change: Partial<LetterRow>): LetterRow {
    const changed = { ...row, ...change, version: row.version + 1 }
    this.#rows.set(row.id, changed)
    return changed
  }
}
