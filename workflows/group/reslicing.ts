import { ApplicationFailure, condition, defineUpdate } from '@temporalio/workflow'
import { names, type ResliceCommand, type Resliced } from '../../src/model/commands.js'
import { type GroupName, mostSlices } from '../../src/model/partition.js'
import { control } from '../activities.js'
import type { Fleet } from './fleet.js'
import type { Membership } from './membership.js'

export const resliceUpdate = defineUpdate<Resliced, [ResliceCommand]>(names.reslice)

/** The group before it is divided anew. */
export interface ToReslice {
  readonly name: GroupName
  readonly members: Membership
  readonly fleet: Fleet
  /** Whether the group has stopped starting slices. */
  readonly quiet: () => boolean
}

/**
 * Divides a group's partitions into another number of slices. No partition is handed from slice to slice while both run:
 *
 *   asked    the group starts no slices any more
 *   drained  its slices have finished the chunks in hand, committed, and ended
 *   written  the record has the new number and the next generation
 *
 * Then the group's next run begins from the record, as a first run does. Where this is interrupted, nothing is half done: before it is
 * written the group has its old slices, and afterwards the new ones.
 */
export class Reslicing {
  #wanted: number | undefined
  #result: Promise<Resliced> | undefined

  /** The run has to end, and the next one to begin from the record. */
  get begun(): boolean {
    return this.#wanted !== undefined
  }

  /**
   * A second request for the same number waits for the first one to finish.
   *
   * @throws ApplicationFailure GROUP_ACTIVE while another number is on its way, or a bounded run; CONFIG_INVALID for a wrong number
   */
  async ask(command: ResliceCommand, group: ToReslice): Promise<Resliced> {
    const { slices } = command
    this.#refuse(slices, group)
    const { members, name } = group
    if (!this.begun && slices === members.slices)
      return { ...name, partitions: members.partitions, before: slices, slices, generation: members.generation }
    this.#wanted = slices
    this.#result ??= this.#carryOut(command, group)
    return this.#result
  }

  #refuse(slices: number, { name: { group, stream }, members }: ToReslice): void {
    if (!Number.isInteger(slices) || slices < 1 || slices > mostSlices)
      throw ApplicationFailure.nonRetryable(`a group has 1 to ${mostSlices} slices, not ${slices}`, 'CONFIG_INVALID')
    if (this.#wanted !== undefined && this.#wanted !== slices)
      throw ApplicationFailure.nonRetryable(
        `${group} on ${stream} is being divided into ${this.#wanted} slices: try again when that is done`,
        'GROUP_ACTIVE',
      )
    // Slices remember where a bounded run began and whether it has ended; new slices would read on.
    if (members.revision.until !== undefined)
      throw ApplicationFailure.nonRetryable(
        `a bounded run of ${group} on ${stream} is under way: try again when it is over`,
        'GROUP_ACTIVE',
      )
  }

  async #carryOut(
    { slices, by = 'unknown', reason = '' }: ResliceCommand,
    { name, members, fleet, quiet }: ToReslice,
  ): Promise<Resliced> {
    await condition(quiet)
    const { partitions, slices: before, generation: from } = members
    await fleet.end(partitions)
    const { reslice } = control(members.revision, `write down: ${slices} slices`)
    const record = await reslice({ name, from, slices, by, reason })
    return { ...name, partitions, before, ...record }
  }
}
