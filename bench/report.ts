import type { Run } from './bench.js'
import { type ContenderName, withCopy, withDedupe } from './job.js'
import { type Workload, workloads } from './options.js'
import { median } from './statistics.js'

/** The figures of one contender in one workload, over all rounds: medians, but of lost and duplicates the sum, and of maxMs the worst. */
export interface Line {
  readonly contender: ContenderName
  readonly workload: Workload
  readonly partitions: number
  readonly messages: number
  readonly msgsPerSecond: number
  readonly lost: number
  readonly duplicates: number
  readonly cpuSeconds: number
  readonly peakRssMb: number
  readonly historyEventsPer1000: number
  readonly p50Ms: number | null
  readonly p99Ms: number | null
  readonly maxMs: number | null
}

type Comparison = Workload | 'copy' | 'dedupe' | 'rabbitmq-dedupe' | 'many-partitions'

/**
 * Tidemark's figure divided by plain's, for each workload; for `copy` and `dedupe` Tidemark's with it divided by that without; for
 * `many-partitions` Tidemark's with many partitions divided by that with few.
 */
export type Ratios = Partial<Record<Comparison, Record<string, number>>>

type Side = readonly [contender: ContenderName, workload: Workload]

export function lineOf(contender: ContenderName, workload: Workload, runs: readonly Run[]): Line {
  const middle = (read: (run: Run) => number) => median(runs.map(read))
  const sum = (read: (run: Run) => number) => runs.reduce((total, run) => total + read(run), 0)
  const timed = runs.every((run) => run.p50Ms !== null)
  return {
    contender,
    workload,
    partitions: runs[0]!.partitions,
    messages: runs[0]!.messages,
    msgsPerSecond: Math.round(middle((run) => run.msgsPerSecond)),
    lost: sum((run) => run.lost),
    duplicates: sum((run) => run.duplicates),
    cpuSeconds: round(
      middle((run) => run.cpuSeconds),
      2,
    ),
    peakRssMb: Math.round(middle((run) => run.peakRssMb)),
    historyEventsPer1000: round(
      middle((run) => (run.historyEvents * 1000) / run.handled),
      2,
    ),
    p50Ms: timed
      ? round(
          middle((run) => run.p50Ms!),
          1,
        )
      : null,
    p99Ms: timed
      ? round(
          middle((run) => run.p99Ms!),
          1,
        )
      : null,
    maxMs: timed ? round(Math.max(...runs.map((run) => run.maxMs!)), 1) : null,
  }
}

export function ratiosOf(lines: readonly Line[]): Ratios {
  const ratios: Ratios = {}
  const compare = (name: Comparison, one: Side, other: Side) => {
    const [above, below] = [one, other].map(([contender, workload]) =>
      lines.find((line) => line.contender === contender && line.workload === workload),
    )
    if (!above || !below) return
    const compared = above.workload.endsWith('latency') ? (['p50Ms', 'p99Ms'] as const) : (['msgsPerSecond'] as const)
    const names = [...compared, 'cpuSeconds', 'peakRssMb'] as const
    ratios[name] = Object.fromEntries(names.map((figure) => [figure, round(above[figure]! / below[figure]!, 2)]))
  }
  for (const workload of workloads) compare(workload, ['tidemark', workload], ['plain', workload])
  compare('many-partitions', ['tidemark', 'many-partitions-drain'], ['tidemark', 'drain'])
  compare('copy', [withCopy, 'drain'], ['tidemark', 'drain'])
  compare('dedupe', [withDedupe, 'drain'], ['tidemark', 'drain'])
  compare('rabbitmq-dedupe', [withDedupe, 'rabbitmq-drain'], ['tidemark', 'rabbitmq-drain'])
  return ratios
}

/** The same for people. */
export function tableOf(lines: readonly Line[], ratios: Ratios): string {
  const names = [
    'workload',
    'contender',
    'partitions',
    'messages',
    'msgsPerSecond',
    'lost',
    'duplicates',
    'cpuSeconds',
    'peakRssMb',
  ] as const
  const columns = [...names, 'historyEventsPer1000', 'p50Ms', 'p99Ms', 'maxMs'] as const
  const rows = [[...columns], ...lines.map((line) => columns.map((name) => String(line[name] ?? '')))]
  const widths = columns.map((_, index) => Math.max(...rows.map((row) => row[index]!.length)))
  const table = rows.map((row) =>
    row
      .map((cell, index) => cell.padEnd(widths[index]!))
      .join('  ')
      .trimEnd(),
  )
  const compared = Object.entries(ratios).map(([name, figures]) => {
    const values = Object.entries(figures).map(([figure, ratio]) => `${figure} ${ratio}`)
    return `${titleOf(name)}: ${values.join(', ')}`
  })
  return [...table, '', ...compared].join('\n')
}

/** Says what is divided by what. */
function titleOf(name: string): string {
  if (name === 'many-partitions') return 'drain, Tidemark with many partitions / with few'
  if (name === 'copy') return 'drain, Tidemark with COPY / with insert'
  if (name.endsWith('dedupe')) return `${name.replace('dedupe', 'drain')}, with dedupe / without`
  return `${name}, Tidemark / plain`
}

function round(value: number, digits: number): number {
  return Number(value.toFixed(digits))
}
