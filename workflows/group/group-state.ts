import { condition } from '@temporalio/workflow'
import type { Enrolled, NoteInput } from '../../src/model/batch.js'
import type { FallbackCommand, GroupInput } from '../../src/model/commands.js'
import type { GroupName } from '../../src/model/partition.js'
import type { Revision } from '../../src/model/revision.js'
import { control } from '../activities.js'
import { configureSignal, fallbackSignal } from '../slice/slice-state.js'
import { noteSummary } from '../summaries.js'
import { Fleet } from './fleet.js'
import { Membership, stateOf } from './membership.js'

/**
 * What the parts of a group's workflow share: the config in force, the partitions, and the way a decision reaches the record and the
 * slices.
 */
export class Group {
  readonly name: GroupName
  revision: Revision
  /** A config in force that belongs to another build's workers: the workflow continues on their task queue. */
  successor: Revision | undefined
  /** The record has a later generation, with other slices: those of this one have to end. */
  outgrown = false
  /** Number of decisions written to the record. */
  decisions = 0
  #deciding = false
  #members: Membership | undefined

  constructor(readonly input: GroupInput) {
    this.name = { group: input.group, stream: input.stream }
    this.revision = input.revision
    this.#members = input.record && new Membership(input, input.record)
  }

  /** Undefined in a group's first run until it has read its record. Signals may arrive before that. */
  get membersIfKnown(): Membership | undefined {
    return this.#members
  }

  get members(): Membership {
    if (!this.#members) throw new Error(`group ${this.name.group} has not read its record yet`)
    return this.#members
  }

  /** Takes over the record, unless it is known already: two reads may overlap. */
  know(found: Enrolled): Membership {
    this.#members ??= new Membership({ ...this.input, revision: this.revision }, stateOf(found))
    return this.#members
  }

  /** Resolves once the group knows its partitions. */
  async known(): Promise<void> {
    if (!this.#members) await condition(() => this.#members !== undefined)
  }

  get fleet(): Fleet {
    const { slices, generation, version } = this.members
    const { name, revision } = this
    const { searchAttributes } = this.input
    return new Fleet({ name, slices, generation, searchAttributes, revision, version })
  }

  /** A worker has started. Its settings win, since it is the newest; partitions that were stopped by an error try again. */
  async configure(newest: Revision): Promise<void> {
    this.successor = newest.queues.workflows === this.revision.queues.workflows ? undefined : newest
    // Another build's workers don't know what this workflow would ask of them.
    if (!this.successor) this.revision = newest
    if (!this.#members) return
    this.#members.configure(newest)
    await this.tellConfig(newest)
  }

  tellConfig(revision: Revision): Promise<void> {
    return this.fleet.tell(this.members.partitions, configureSignal, () => [revision])
  }

  /** No worker takes batches with the version in force, or one does again. */
  fallBack(command: FallbackCommand): void {
    if (this.#members?.fallBack(command))
      void this.fleet.tell(this.#members.partitions, fallbackSignal, () => [command])
  }

  /** Writes a decision to the record and tells the slices. One decision at a time, so that an older answer never replaces a newer one. */
  async decide(what: Omit<NoteInput, 'name'>, tell: () => Promise<void> = async () => {}): Promise<void> {
    // Several callers may wake at the same moment.
    while (!this.#members || this.#deciding) await condition(() => this.#members !== undefined && !this.#deciding)
    this.#deciding = true
    try {
      const { note } = control(this.revision, noteSummary(what))
      this.#members.pauses = await note({ name: this.name, ...what })
      this.decisions++
      await tell()
    } finally {
      this.#deciding = false
    }
  }
}
