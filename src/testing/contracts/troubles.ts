import type { Trouble } from '../../model/trouble.js'
import type { DatabaseClient, TroubleLog } from '../../ports/index.js'
import type { DatabaseHarness } from './database-harness.js'
import { hooksOf, type TestFramework } from './framework.js'

/** The suite that makes a TroubleLog one: what is known of a partition's first message is kept, and older owners change nothing. */
export function troublesSuite(framework: TestFramework, kind: string, open: () => Promise<DatabaseHarness>): void {
  const { describe, it, expect, beforeAll, afterAll, beforeEach } = hooksOf(framework)
  describe(`${kind} troubles`, () => {
    let harness: DatabaseHarness
    let client: DatabaseClient
    let troubles: TroubleLog
    let tests = 0
    let key = { group: '', stream: 'orders', partition: 3 }

    beforeAll(async () => {
      harness = await open()
      client = await harness.connect()
      troubles = client.troubles
    })
    afterAll(async () => {
      await client.close()
      await harness.close()
    })
    beforeEach(async () => {
      key = { ...key, group: `troubled-${++tests}` }
    })

    const token = (epoch: number, batch = 1, attempt = 1) => ({ epoch, batch, attempt })
    const trouble: Trouble = {
      replay: 2,
      failing: {
        ...{
          position: '9007199254740993',
          tries: 3,
          crashes: 1,
          firstAt: 1_700_000_000_000,
          lastAt: 1_700_000_060_000,
        },
        ...{ code: 'TypeError', first: 'x is undefined', last: `it's "null"` },
      },
      suspect: {
        until: '9007199254741993',
        inHand: { from: '9007199254740993', to: '9007199254740999', messages: 6 },
        crashes: 2,
      },
      done: [['9007199254740994', '9007199254740996']],
      inARow: 4,
    }

    it('are none where nothing was written', async () => {
      expect(await troubles.read(key)).toBeNull()
    })

    it('are read as they were written, by another client, too', async () => {
      await troubles.write(key, token(1), trouble)
      const other = await harness.connect()
      expect([await troubles.read(key), await other.troubles.read(key)]).toEqual([trouble, trouble])
      await other.close()
    })

    it('are replaced as a whole by the same owner, and by newer ones', async () => {
      await troubles.write(key, token(1), trouble)
      await troubles.write(key, token(1), { replay: 2, inARow: 1 })
      expect(await troubles.read(key)).toEqual({ replay: 2, inARow: 1 })
      for (const newer of [token(1, 1, 2), token(1, 2, 1), token(2, 1, 1)]) {
        await troubles.write(key, newer, { replay: newer.epoch, inARow: newer.batch })
        expect(await troubles.read(key)).toEqual({ replay: newer.epoch, inARow: newer.batch })
      }
    })

    it('stay as they are where an older owner writes, whichever number is smaller', async () => {
      await troubles.write(key, token(5, 5, 5), trouble)
      for (const older of [token(4, 9, 9), token(5, 4, 9), token(5, 5, 4)]) await troubles.write(key, older, null)
      expect(await troubles.read(key)).toEqual(trouble)
    })

    it('that are over are none, and older owners bring none back', async () => {
      await troubles.write(key, token(5), trouble)
      await troubles.write(key, token(6), null)
      await troubles.write(key, token(5), trouble)
      expect(await troubles.read(key)).toBeNull()
    })

    it('of 64 partitions, read and written at once, are each its own', async () => {
      const keys = Array.from({ length: 64 }, (_, partition) => ({ ...key, partition }))
      await Promise.all(keys.map((one) => troubles.write(one, token(1), { replay: one.partition })))
      const read = await Promise.all(keys.map((one) => troubles.read(one)))
      expect(read.map((one) => one?.replay)).toEqual(keys.map(({ partition }) => partition))
      expect(await troubles.read({ ...key, partition: 64 })).toBeNull()
    })

    it('keep texts without what a database can not hold, and no more than 1,000 characters', async () => {
      const text = 'a\0b\ud800c'
      await troubles.write(key, token(1), {
        replay: 0,
        failing: { ...trouble.failing!, code: text, first: text, last: 'é'.repeat(2_000) },
      })
      const { failing } = (await troubles.read(key))!
      expect(failing).toMatchObject({ code: 'a\ufffdb\ufffdc', first: 'a\ufffdb\ufffdc', last: 'é'.repeat(1_000) })
    })

    it('go with the group', async () => {
      const other = { ...key, stream: 'bills' }
      for (const one of [key, other]) await troubles.write(one, token(1), trouble)
      await client.progress.delete(key)
      expect([await troubles.read(key), await troubles.read(other)]).toEqual([null, trouble])
    })
  })
}
