import { type Command, InvalidArgumentError, Option } from 'commander'
import { type LetterSelection, letterClasses, letterStates } from '../../client/letters/selection.js'
import { TidemarkError } from '../../model/errors.js'
import { parseDuration } from '../../model/units.js'
import type { LetterClass, LetterState } from '../../ports/index.js'
import { type GroupOptions, partitionOption } from '../choose.js'

/** Which letters a command is about. */
export interface SelectionOptions extends GroupOptions {
  readonly partition?: number[]
  readonly key?: string
  readonly class?: LetterClass
  readonly code?: string
  readonly olderThan?: number
  readonly state?: LetterState
}

/** Filters; those of a command that changes letters know no state. */
export function withSelection(command: Command, { states = false } = {}): Command {
  const all = command
    .addOption(partitionOption())
    .option('-k, --key <key>', 'only messages with this key')
    .addOption(
      new Option('--class <class>', 'only messages that were set aside for this reason').choices(letterClasses),
    )
    .option('--code <code>', "only this error's code, or class of what was thrown")
    .addOption(new Option('--older-than <duration>', 'only those set aside so long ago: 15m, 1d').argParser(durationOf))
  if (!states) return all
  return all.addOption(new Option('--state <state>', 'only those in this state').choices(letterStates))
}

export function selectionOf(options: SelectionOptions, ids: readonly string[] = []): LetterSelection {
  const { group, stream, partition, key, class: kind, code, olderThan, state } = options
  return {
    ...(group === undefined ? {} : { group }),
    ...(stream === undefined ? {} : { stream }),
    ...(partition && { partitions: partition }),
    ...(key === undefined ? {} : { key }),
    ...(kind && { class: kind }),
    ...(code === undefined ? {} : { code }),
    ...(olderThan === undefined ? {} : { olderThan }),
    ...(state && { states: [state] }),
    ...(ids.length > 0 && { ids: [...new Set(ids)] }),
  }
}

/**
 * Makes sure that somebody who names nothing means everything.
 *
 * @throws TidemarkError CONFIG_INVALID
 */
export function requireSelection(command: string, selection: LetterSelection, all: boolean): void {
  if (all && selection.ids)
    throw new TidemarkError('CONFIG_INVALID', `${command}: name letters, or say --all, but not both`)
  if (all || Object.keys(selection).length > 0) return
  throw new TidemarkError(
    'CONFIG_INVALID',
    `${command}: say which dead letters: their numbers, a filter such as --group or --key, or --all for all of the config`,
  )
}

/** The number of a letter, as `list` shows it. */
export function letterId(text: string, before: readonly string[] = []): readonly string[] {
  if (!/^\d{1,18}$/.test(text))
    throw new InvalidArgumentError("a dead letter's number is a whole number, as 'tidemark dead-letters list' shows it")
  return [...before, text]
}

export function durationOf(text: string): number {
  const ms = parseDuration(text)
  if (ms === undefined) throw new InvalidArgumentError('give a length of time, for example 15m or 1d')
  return ms
}

/** Letters a second: `100/s`, `30/m`, `500/h`, or a number. */
export function rateOf(text: string): number {
  const [, count, unit = 's'] = /^(\d+(?:\.\d+)?)(?:\/(s|m|h))?$/.exec(text) ?? []
  const perSecond = Number(count) / { s: 1, m: 60, h: 3_600 }[unit as 's' | 'm' | 'h']
  if (count === undefined || perSecond < 1e-6 || perSecond > 1e6)
    throw new InvalidArgumentError('give a rate, for example 100/s, 30/m or 500/h')
  return perSecond
}
