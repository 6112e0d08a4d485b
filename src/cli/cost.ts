import { type Command, InvalidArgumentError, Option } from 'commander'
import { dollarsPerMonth, groupActions } from '../client/cost.js'
import { answerWithin, placeOf } from '../client/deadline.js'
import { findConsumers } from '../client/find.js'
import { openSource, patience, using } from '../client/open-parts.js'
import { type ParsedConsumer, parseConfig } from '../config/parse.js'
import type { ConsumerSettings } from '../model/settings.js'
import { type GroupOptions, groupCommand, jsonOption } from './choose.js'
import { loadConfig } from './config.js'
import { counted } from './format.js'
import { table } from './table.js'

/** Dollars for a million actions, where nobody names another price. */
const usualPrice = 50

export function costCommand(): Command {
  return groupCommand(
    'cost',
    'What the groups of a config cost in Temporal Cloud, computed from their settings. Asks the streams for their partitions, and nothing else.',
  )
    .addOption(new Option('--price <dollars>', 'dollars for a million actions').default(usualPrice).argParser(priceOf))
    .addOption(jsonOption('a JSON array of groups'))
    .addHelpText(
      'after',
      `
REST is when no messages come, BUSY when they never stop in any slice. Most groups cost something in between.
The figures are computed, not measured: from heartbeatTimeout, batch.maxDuration, commit and slices of the config, and from
the number of partitions. A group that was started before keeps its number of slices, whatever the config says now.
Not in them: storage, batches that are full before batch.maxDuration, partitions in trouble, commands, 'tidemark status', and slices
that come to rest and are woken again: 2 actions and a batch each time, which adds up where batch.restAfter is short.

Examples:
  $ tidemark cost
  $ tidemark cost --group billing --price 25
  $ tidemark cost --json | jq 'map(.busy.dollarsPerMonth) | add'`,
    )
    .action(async (options: GroupOptions & { json?: boolean; price: number }) => {
      const consumers = findConsumers(parseConfig(await loadConfig(options.config)), options)
      const costs = await Promise.all(
        consumers.map(async (consumer) => costOf(consumer.settings, await partitionsOf(consumer), options.price)),
      )
      process.stdout.write(options.json ? `${JSON.stringify(costs)}\n` : costText(costs, options.price))
    })
}

function priceOf(text: string): number {
  if (!/^\d+(\.\d+)?$/.test(text)) throw new InvalidArgumentError('a price is a number of dollars, for example 50')
  return Number(text)
}

async function partitionsOf(consumer: ParsedConsumer): Promise<number> {
  return using(openSource(consumer), async (source) => {
    const partitions = await answerWithin(placeOf(consumer.source), source.partitions(), patience)
    return partitions.length
  })
}

/** A group's cost, fit for JSON. Exported for its test. */
export type GroupCost = ReturnType<typeof costOf>

/** Exported for its test. */
export function costOf(settings: ConsumerSettings, partitions: number, pricePerMillion: number) {
  const actions = groupActions(settings, partitions)
  const charge = (actionsPerMinute: number) => ({
    actionsPerMinute: rounded(actionsPerMinute),
    dollarsPerMonth: rounded(dollarsPerMonth(actionsPerMinute, pricePerMillion)),
  })
  const { group, stream, heartbeatTimeoutMs, batch, commit } = settings
  return {
    group,
    stream,
    partitions,
    slices: actions.slices,
    rest: charge(actions.restPerMinute),
    busy: charge(actions.busyPerMinute),
    busySlice: charge(actions.busySlicePerMinute),
    /** What the figures follow from. */
    computedFrom: {
      pricePerMillion,
      heartbeatTimeoutMs,
      heartbeatEveryMs: actions.heartbeatEveryMs,
      maxDurationMs: batch.maxDurationMs,
      commit: commit.after,
      slices: settings.slices ?? ('default' as const),
      actionsPerBatch: actions.batch,
    },
  }
}

/** Exported for its test. */
export function costText(costs: readonly GroupCost[], price: number): string {
  const rows = costs.map(({ group, stream, partitions, slices, rest, busy }) => [
    ...[group, stream, partitions, slices],
    ...[rest.actionsPerMinute.toFixed(1), dollars(rest.dollarsPerMonth)],
    ...[busy.actionsPerMinute.toFixed(1), dollars(busy.dollarsPerMonth)],
  ])
  const header = ['GROUP', 'STREAM', 'PARTITIONS', 'SLICES', 'REST/MIN', 'REST/MONTH', 'BUSY/MIN', 'BUSY/MONTH']
  return [
    `Billable actions a minute, and dollars a month at $${price} per million actions. Computed from settings, not measured.`,
    '',
    table(header, rows),
    ...costs.map(reasonOf),
  ].join('\n')
}

/** How a group's figures follow from its settings. */
function reasonOf({ group, stream, slices, busySlice, computedFrom }: GroupCost): string {
  const { heartbeatTimeoutMs, heartbeatEveryMs, maxDurationMs, commit, actionsPerBatch } = computedFrom
  const commits = actionsPerBatch.commit === 1 ? '1 commit' : `no commit, since the offset is committed by ${commit}`
  const slicesFrom = computedFrom.slices === 'default' ? 'the default' : `slices: ${computedFrom.slices}`
  return [
    `${group} on ${stream}`,
    `  rest: one activity waits for messages; it heartbeats every ${seconds(heartbeatEveryMs)} (heartbeatTimeout ${seconds(heartbeatTimeoutMs)})`,
    `  busy: the same, and ${counted(slices, 'slice')} (${slicesFrom}) of ${busySlice.actionsPerMinute.toFixed(1)} a minute each: a batch of ${seconds(maxDurationMs)} (batch.maxDuration)`,
    `        is 1 process, ${commits}, and ${counted(actionsPerBatch.heartbeats, 'heartbeat')}`,
    '',
  ].join('\n')
}

/** Exactly: a heartbeat every 1.6 s is not one every second. */
function seconds(ms: number): string {
  return `${ms / 1000}s`
}

function dollars(amount: number): string {
  return `$${amount.toFixed(2)}`
}

function rounded(value: number): number {
  return Number(value.toFixed(2))
}
