import { expect, it } from 'vitest'
import { soak } from '../soak/soak.js'
import { tableOf } from '../soak/table.js'
import { freshDatabase } from '../support/fresh-database.js'
import { describeWith, part } from '../support/parts.js'
import { unique } from '../support/unique.js'

/** The short form of `npm run soak`. */
describeWith(['kafka', 'postgres', 'rabbitmq', 'temporal'], 'a minute of load, with all that people do', () => {
  it('leaves memory, listeners, timers and connections flat, and nothing when the worker ends', async () => {
    const database = await freshDatabase()
    try {
      const { address, namespace } = part('temporal')
      const report = await soak(
        {
          databaseUrl: database.connectionString,
          brokers: part('kafka').brokers,
          rabbitmqUrl: part('rabbitmq').url,
          temporal: { address, namespace },
          name: unique('soak'),
        },
        {
          minutes: 1,
          rate: 200,
          pauseMs: 2_000,
          sampleMs: 1_000,
          node: process.execPath,
          leak: null,
          say: () => {},
        },
      )
      console.log(tableOf(report))
      expect(report.faults).toEqual([])
    } finally {
      await database.drop()
    }
  })
})
