import { describe, expect, it } from 'vitest'
import type { Run } from '../../bench/bench.js'
import { parseOptions } from '../../bench/options.js'
import { lineOf, ratiosOf, tableOf } from '../../bench/report.js'
import { latencyFigures, median, percentile } from '../../bench/statistics.js'

const run: Run = {
  partitions: 4,
  messages: 2_000,
  handled: 2_000,
  msgsPerSecond: 100,
  lost: 0,
  duplicates: 0,
  cpuSeconds: 1,
  peakRssMb: 100,
  historyEvents: 50,
  p50Ms: null,
  p99Ms: null,
  maxMs: null,
}

describe('the bench report', () => {
  it('takes medians of figures, so that one bad round does not decide', () => {
    const runs = [100, 5, 120].map((msgsPerSecond) => ({ ...run, msgsPerSecond }))
    expect(lineOf('tidemark', 'drain', runs)).toMatchObject({
      msgsPerSecond: 100,
      historyEventsPer1000: 25,
      p50Ms: null,
    })
  })

  it('adds up what was lost or doubled, so that no good round hides it', () => {
    const runs = [run, { ...run, lost: 2, duplicates: 1 }, run]
    expect(lineOf('tidemark', 'drain', runs)).toMatchObject({ lost: 2, duplicates: 1 })
  })

  it('names the slowest message of all rounds, so that no median hides it', () => {
    const runs = [150, 900, 160].map((maxMs) => ({ ...run, p50Ms: 20, p99Ms: maxMs / 2, maxMs }))
    expect(lineOf('tidemark', 'rest-latency', runs)).toMatchObject({ p50Ms: 20, p99Ms: 80, maxMs: 900 })
  })

  it('compares Tidemark to plain, and nothing where one of them is missing', () => {
    const plain = lineOf('plain', 'drain', [run])
    const tidemark = lineOf('tidemark', 'drain', [{ ...run, msgsPerSecond: 150 }])
    expect(ratiosOf([plain, tidemark])).toEqual({ drain: { msgsPerSecond: 1.5, cpuSeconds: 1, peakRssMb: 1 } })
    expect(ratiosOf([plain])).toEqual({})
  })

  it('keeps the drains of Kafka and of RabbitMQ apart', () => {
    const lines = [
      lineOf('plain', 'drain', [run]),
      lineOf('tidemark', 'drain', [run]),
      lineOf('plain', 'rabbitmq-drain', [{ ...run, msgsPerSecond: 50 }]),
      lineOf('tidemark', 'rabbitmq-drain', [run]),
    ]
    const same = { msgsPerSecond: 1, cpuSeconds: 1, peakRssMb: 1 }
    expect(ratiosOf(lines)).toEqual({ drain: same, 'rabbitmq-drain': { ...same, msgsPerSecond: 2 } })
  })

  it('compares Tidemark with dedupe to Tidemark without', () => {
    const lines = [
      lineOf('tidemark', 'drain', [run]),
      lineOf('tidemark+dedupe', 'drain', [{ ...run, msgsPerSecond: 50 }]),
    ]
    expect(ratiosOf(lines)).toEqual({ dedupe: { msgsPerSecond: 0.5, cpuSeconds: 1, peakRssMb: 1 } })
  })

  it('compares Tidemark with many partitions to plain, and to Tidemark with few', () => {
    const many = { ...run, partitions: 256, peakRssMb: 150 }
    const lines = [
      lineOf('tidemark', 'drain', [{ ...run, msgsPerSecond: 200 }]),
      lineOf('plain', 'many-partitions-drain', [{ ...many, msgsPerSecond: 25 }]),
      lineOf('tidemark', 'many-partitions-drain', [many]),
    ]
    expect(lines.map(({ partitions }) => partitions)).toEqual([4, 256, 256])
    const ratios = ratiosOf(lines)
    expect(ratios).toEqual({
      'many-partitions-drain': { msgsPerSecond: 4, cpuSeconds: 1, peakRssMb: 1 },
      'many-partitions': { msgsPerSecond: 0.5, cpuSeconds: 1, peakRssMb: 1.5 },
    })
    expect(tableOf(lines, ratios)).toContain(
      'drain, Tidemark with many partitions / with few: msgsPerSecond 0.5, cpuSeconds 1, peakRssMb 1.5',
    )
  })

  it('reads medians and percentiles by nearest rank', () => {
    expect([median([3, 1, 2]), median([4, 1, 2, 3])]).toEqual([2, 2.5])
    const hundred = Array.from({ length: 100 }, (_, index) => index + 1)
    expect([percentile(hundred, 0.5), percentile(hundred, 0.99), percentile([7], 0.99)]).toEqual([50, 99, 7])
    expect(latencyFigures(hundred)).toEqual({ p50Ms: 50, p99Ms: 99, maxMs: 100 })
  })

  it('reads the command line, and names the option it cannot read', () => {
    expect(() => parseOptions(['--messages', 'many'])).toThrow('--messages is "many"; it must be a whole number from 1')
    expect(() => parseOptions(['--only', 'cpu'])).toThrow(
      '--only is "cpu"; it must be drain, latency, rest-latency, many-partitions-drain, rabbitmq-drain, rabbitmq-latency',
    )
    expect(parseOptions(['--only', 'rabbitmq-drain'])?.workloads).toEqual(['rabbitmq-drain'])
    expect(parseOptions([])).toMatchObject({
      actions: null,
      partitions: 256,
      workloads: ['drain', 'latency', 'rest-latency', 'many-partitions-drain', 'rabbitmq-drain', 'rabbitmq-latency'],
    })
    expect(parseOptions([])?.latencySeconds).toBe(30)
    expect(parseOptions(['--messages', '50000'])?.latencySeconds).toBe(5)
    expect(parseOptions([])?.restRounds).toBe(20)
    expect(parseOptions(['--messages', '50000'])?.restRounds).toBe(2)
    expect(parseOptions(['--actions'])?.actions).toEqual({ minutes: 5 })
    expect(parseOptions(['--actions', '--minutes', '1'])?.actions).toEqual({ minutes: 1 })
    expect(parseOptions(['--help'])).toBeNull()
  })
})
