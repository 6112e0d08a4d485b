import type { PartitionBatch, PartitionOutcome } from '../../src/model/batch.js'
import { isTidemarkError } from '../../src/model/errors.js'
import {
  describePartition,
  type GroupName,
  type PartitionKey,
  partitionsNamed,
  ranges,
} from '../../src/model/partition.js'
import type {
  PartitionBlocked,
  PartitionCaughtUp,
  PartitionFenced,
  PartitionObserver,
} from '../../src/model/partition-events.js'
import type { ConsumerSettings } from '../../src/model/settings.js'
import type { Chunk, Log } from '../../src/ports/index.js'
import type { ErrorReports } from '../errors/reports.js'
import { betweenBatches, Holdings } from './holdings.js'
import type { SetAside, WorkObserver } from './observer.js'
import { Retries } from './retries.js'
import { TallySheet } from './tally.js'
import { counted, duration } from './wording.js'

/** What happens to several partitions within this time is one line, ms. */
const gathering = 1_000
/** Partitions that may begin to fail within that time with a line of their own, for each kind of error. */
const mostAlike = 3
/** The same of one partition is not said again within this time: that it has caught up, and that it is blocked or fenced, ms. */
const [caughtUpAgain, stoppedAgain] = [600_000, 60_000]
const everyMs = 60_000
/** Messages set aside within a minute that have a line of their own. */
const mostAside = 20

type Settings = Pick<ConsumerSettings, 'group' | 'stream' | 'retry'>

/**
 * What a worker's log tells of the partitions of one consumer: taken and given away, retrying, recovered, blocked, fenced, reset, caught up,
 * and once a minute how much was handled. It decides what is said and how often. The worker's listeners hear every event.
 */
export class Story implements WorkObserver {
  readonly #name: GroupName
  readonly #retries = new Retries()
  readonly #holdings: Holdings
  readonly #tally = new TallySheet()
  readonly #recovered: { readonly partition: number; readonly tries: number; readonly ms: number }[] = []
  readonly #caughtUp: { readonly partition: number; readonly position: bigint }[] = []
  /** Partitions that have begun to fail within the last second, by the kind of error. */
  readonly #alike = new Map<string, number[]>()
  /** When something was said, by what and of which partition. */
  readonly #said = new Map<string, number>()
  /** When messages were set aside lately, by `performance.now()`. */
  #aside: number[] = []
  readonly #redriven = new Map<number, number>()
  #timer: NodeJS.Timeout | undefined
  #dueAt = Number.POSITIVE_INFINITY
  #minute: NodeJS.Timeout | undefined

  /** @param listeners hear of the worker's events */
  constructor(
    { group, stream, retry }: Settings,
    private readonly log: Log,
    private readonly errors: ErrorReports,
    private readonly listeners: PartitionObserver,
  ) {
    this.#name = { group, stream }
    // Between two tries of a batch nobody has its partitions.
    this.#holdings = new Holdings(2 * retry.maximumIntervalMs)
  }

  /** From now on, says once a minute how much was handled. */
  begin(): void {
    this.#minute ??= setInterval(() => this.#sumUp(), everyMs)
    this.#minute.unref()
  }

  /** Says what is left to say: the worker has stopped, and others have its partitions now. */
  end(): void {
    clearInterval(this.#minute)
    this.#tell()
    clearTimeout(this.#timer)
    const held = this.#holdings.active
    if (held.length > 0)
      this.log.info({ ...this.#name, partitions: ranges(held) }, `handed over ${partitionsNamed(held)}`)
  }

  began(partitions: readonly PartitionBatch[]): void {
    if (this.#holdings.began(partitions)) this.#tellIn(gathering)
  }

  left(partition: number, end: PartitionOutcome['end'] | null): void {
    this.#holdings.ended(partition, end)
    this.#tellIn(betweenBatches)
  }

  /** Only what becomes of a chunk is worth telling. */
  took(): void {}

  handled({ partition }: PartitionKey, { messages, next, head }: Pick<Chunk, 'messages' | 'next' | 'head'>): void {
    this.#tally.handled(partition, messages.length, next, head)
    const over = this.#retries.handled(partition, next)
    if (!over) return
    this.errors.recovered(partition)
    this.#recovered.push({ partition, ...over })
    this.#tellIn(gathering)
  }

  failed(key: PartitionKey, error: unknown, at: { readonly offset: bigint | null; readonly attempt: number }): void {
    this.#tally.failed()
    const told = this.errors.told(error, key.partition)
    told.logOwes = false
    const mention = this.#retries.failed(key.partition, at.offset ?? -1n, told.kind, told.errorId)
    if (!mention) return
    const { again, tries, ms } = mention
    if (!again && told.errorId === undefined && !this.#isAmongFirst(told.kind, key.partition)) return
    const { attempt } = at
    // What the text names: of a sparse log, or a chunk's later message, the position is not the place.
    const offset = (isTidemarkError(error) && error.place.offset) || at.offset
    const place = { ...key, ...(offset !== null && { offset: String(offset) }), attempt, tries }
    const what = told.namesPlace ? told.text : `${describePartition(key)}: ${told.text}`
    const how = again ? `still retrying after ${counted(tries, 'try', 'tries')} in ${duration(ms)}` : 'retrying'
    this.log.warn({ ...place, ...told.details }, `${how}: ${what}`)
  }

  blocked(event: PartitionBlocked, error?: unknown): void {
    const { group, stream, partition, offset, code, message } = event
    const told = error === undefined ? undefined : this.errors.told(error, partition)
    if (told) told.logOwes = false
    this.#retries.forget(partition)
    // With the ID, since one that status shows is to be found here.
    if (this.#isNew(`blocked ${partition} ${offset} ${code} ${told?.errorId}`, stoppedAgain)) {
      const place = { group, stream, partition, ...(offset !== null && { offset: String(offset) }), code }
      const namesPlace = told?.namesPlace ?? message.includes(describePartition(event))
      const what = namesPlace ? message : `${describePartition(event)}: ${message}`
      this.log.error({ ...place, ...told?.details }, `blocked: ${what}`)
    }
    this.listeners.blocked(event)
  }

  fenced(event: PartitionFenced): void {
    const { group, stream, partition, owner, message } = event
    this.#retries.forget(partition)
    if (this.#isNew(`fenced ${partition}`, stoppedAgain))
      this.log.warn(
        { group, stream, partition, ...(owner && { owner: { epoch: owner.epoch, batch: owner.batch } }) },
        `fenced: ${message}`,
      )
    this.listeners.fenced(event)
  }

  caughtUp(event: PartitionCaughtUp): void {
    const { partition, position } = event
    if (this.#isNew(`caught up ${partition}`, caughtUpAgain)) {
      this.#caughtUp.push({ partition, position })
      this.#tellIn(gathering)
    }
    this.listeners.caughtUp(event)
  }

  setAside(key: PartitionKey, { offset, how, tries, reason }: SetAside): void {
    const { group, stream, partition } = key
    const recent = this.#aside.filter((at) => performance.now() - at < everyMs)
    this.#aside = [...recent, performance.now()].slice(-mostAside)
    // A topic of poison would fill the log: the minute's line counts them.
    if (recent.length >= mostAside) return
    const place = { group, stream, partition, offset: String(offset), tries }
    this.log.warn(
      place,
      `${how}: ${describePartition(key)} offset ${offset} after ${counted(tries, 'try', 'tries')}: ${reason}`,
    )
  }

  redriven(key: PartitionKey, messages: number): void {
    this.#redriven.set(key.partition, (this.#redriven.get(key.partition) ?? 0) + messages)
    this.#tellIn(gathering)
  }

  /** Nor are commits. */
  committed(): void {}

  /** Slices at rest are no news. */
  watched(): void {}

  #isAmongFirst(kind: string, partition: number): boolean {
    const alike = this.#alike.get(kind) ?? []
    this.#alike.set(kind, alike)
    alike.push(partition)
    this.#tellIn(gathering)
    return alike.length <= mostAlike
  }

  #isNew(what: string, within: number): boolean {
    const now = performance.now()
    const last = this.#said.get(what)
    if (last !== undefined && now - last < within) return false
    // A blocked partition of long ago is kept by nobody.
    for (const [one, at] of this.#said) if (now - at >= caughtUpAgain) this.#said.delete(one)
    this.#said.set(what, now)
    return true
  }

  #tellNext(): void {
    const next = this.#holdings.nextIn
    if (next !== null) this.#tellIn(Math.max(next, gathering))
  }

  #tellIn(ms: number): void {
    const at = performance.now() + ms
    if (at >= this.#dueAt) return
    clearTimeout(this.#timer)
    this.#dueAt = at
    this.#timer = setTimeout(() => {
      this.#tell()
      this.#tellNext()
    }, ms)
    this.#timer.unref()
  }

  #tell(): void {
    this.#dueAt = Number.POSITIVE_INFINITY
    const { taken, given, rested, reset } = this.#holdings.changes()
    const held = this.#holdings.active
    this.#say(taken, `took ${partitionsNamed(taken)}; holds ${held.length}`)
    for (const { partition, to } of reset.length > mostAlike ? [] : reset)
      this.log.info({ ...this.#name, partition, offset: to }, `reset: ${this.#describe(partition)} goes on at ${to}`)
    const many = reset.length > mostAlike ? reset.map(({ partition }) => partition) : []
    this.#say(many, `reset: ${partitionsNamed(many)} continue from another position`)
    for (const [kind, partitions] of this.#alike) {
      const more = partitions.slice(mostAlike)
      if (more.length === 0) continue
      const fields = { ...this.#name, partitions: ranges(more), error: kind.trim() }
      this.log.warn(fields, `retrying as well, after errors of the same kind: ${partitionsNamed(more)}`)
    }
    this.#alike.clear()
    this.#tellRecovered(this.#recovered.splice(0))
    this.#tellRedriven()
    this.#tellCaughtUp(this.#caughtUp.splice(0))
    this.#say(rested, `at rest for long, and free for any worker: ${partitionsNamed(rested)}; holds ${held.length}`)
    this.#say(given, `gave away ${partitionsNamed(given)}; holds ${held.length}`)
    for (const partition of given) this.#retries.forget(partition)
  }

  #tellRecovered(recovered: readonly { partition: number; tries: number; ms: number }[]): void {
    if (recovered.length === 0) return
    const tries = Math.max(...recovered.map((one) => one.tries))
    const ms = Math.round(Math.max(...recovered.map((one) => one.ms)))
    const after = `after ${counted(tries, 'try', 'tries')}, ${duration(ms)}`
    const [only, ...more] = recovered
    if (more.length === 0)
      this.log.info(
        { ...this.#name, partition: only!.partition, tries, ms },
        `recovered ${after}: ${this.#describe(only!.partition)}`,
      )
    else {
      const partitions = recovered.map(({ partition }) => partition)
      this.log.info(
        { ...this.#name, partitions: ranges(partitions), tries, ms },
        `recovered ${after} at the most: ${partitionsNamed(partitions)}`,
      )
    }
  }

  #tellRedriven(): void {
    if (this.#redriven.size === 0) return
    const partitions = [...this.#redriven.keys()]
    const messages = [...this.#redriven.values()].reduce((sum, one) => sum + one, 0)
    this.#redriven.clear()
    this.log.info(
      { ...this.#name, partitions: ranges(partitions), messages },
      `redriven: ${counted(messages, 'message')} of ${partitionsNamed(partitions)}`,
    )
  }

  #tellCaughtUp(caughtUp: readonly { partition: number; position: bigint }[]): void {
    const [only, ...more] = caughtUp
    if (only && more.length === 0)
      this.log.info(
        { ...this.#name, partition: only.partition, offset: String(only.position) },
        `caught up: ${this.#describe(only.partition)} at ${only.position}`,
      )
    else
      this.#say(
        caughtUp.map(({ partition }) => partition),
        `caught up: ${partitionsNamed(caughtUp.map(({ partition }) => partition))}`,
      )
  }

  #say(partitions: readonly number[], text: string): void {
    if (partitions.length > 0) this.log.info({ ...this.#name, partitions: ranges(partitions) }, text)
  }

  #sumUp(): void {
    const held = this.#holdings.active
    const { messages, perSecond, failures, lag } = this.#tally.take(held)
    // At rest, or others have its partitions: that was said when it began.
    if (messages + failures + held.length === 0) return
    const counts = [
      `${counted(messages, 'message')} (${perSecond}/s)`,
      counted(failures, 'failure'),
      counted(held.length, 'partition'),
      ...(lag === null ? [] : [`lag ${lag}`]),
    ]
    const { group, stream } = this.#name
    this.log.info(
      { group, stream, messages, perSecond, failures, held: held.length, ...(lag !== null && { lag: String(lag) }) },
      `the last minute of ${group} on ${stream}: ${counts.join(', ')}`,
    )
  }

  #describe(partition: number): string {
    return describePartition({ ...this.#name, partition })
  }
}
