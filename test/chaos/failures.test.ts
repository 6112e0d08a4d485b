import { expect, it } from 'vitest'
import { describeWith, part } from '../support/parts.js'
import { playFailures } from './failures/failures.js'

/** The short form of `npm run chaos -- --only failures`. */
describeWith(['kafka', 'postgres', 'temporal'], 'failures of all kinds', () => {
  it('among kills and outages lose nothing, repeat nothing, set aside what failed and nothing else, and keep the order', async () => {
    const seed = Number(process.env.CHAOS_SEED ?? Math.floor(Math.random() * 2 ** 31))
    const { brokers } = part('kafka')
    const report = await playFailures({
      brokers,
      temporal: part('temporal'),
      messages: 2_000,
      keys: 200,
      partitions: 4,
      heavy: 0,
      workers: 2,
      faults: 4,
      seed,
      heartbeatMs: 2_000,
      serviceAwayMs: 3_000,
      lockMs: 2_000,
      lastsMs: [500, 3_000],
      redriveKills: 1,
      timeoutMs: 120_000,
      say: process.env.CHAOS_SAY ? console.error : () => {},
    })
    const { lost, duplicates, both, disorder, examples } = report.aside
    const whole = { lost: 0, duplicates: 0, both: 0, disorder: 0, examples: [] }
    expect({ seed, lost, duplicates, both, disorder, examples }).toEqual({ seed, ...whole })
    expect(report.aside.letters).toBeGreaterThan(0)
    expect({ seed, ...report.redriven }).toMatchObject({ seed, ...whole, letters: 0, effects: 2_000 })
  })
})
