import { setImmediate as turn } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import type { BrokerLink } from '../../src/kafka/client/broker-link.js'
import type { Brokers } from '../../src/kafka/client/brokers.js'
import type { Address } from '../../src/kafka/client/driver.js'
import type { LinkPool } from '../../src/kafka/client/link-pool.js'
import { readTopic, topicRequest } from '../../src/kafka/client/topic-metadata.js'
import { GroupOffsets } from '../../src/kafka/store/group-offsets.js'
import { readNote, writeNote } from '../../src/kafka/store/offset-note.js'
import { waitFor } from '../support/wait-for.js'

interface Commit {
  readonly topics: readonly { topic: string; partitions: readonly { partition: number; offset: string }[] }[]
}

describe('the coordinator of a group', () => {
  /** A cluster whose coordinators give the answers they are told: error codes, or errors. */
  function cluster(answers: (number | Error)[]) {
    const commits: { at: number; request: Commit }[] = []
    const held: (() => void)[] = []
    let searches = 0
    let hold = false
    const link = (port: number) => ({
      call: async (name: string, request: Commit) => {
        if (name === 'GroupCoordinator') return { errorCode: 0, coordinator: { host: 'b', port: ++searches } }
        if (name === 'OffsetFetch') return { errorCode: 0, responses: [] }
        if (name === 'DescribeGroups')
          return {
            groups: [
              {
                errorCode: 0,
                members: Array.from({ length: 7 }, (_, n) => ({ clientId: `app-${n}`, clientHost: '/10.0.0.9' })),
              },
            ],
          }
        commits.push({ at: port, request })
        if (hold) await new Promise<void>((resolve) => held.push(resolve))
        const answer = answers.shift() ?? 0
        if (answer instanceof Error) throw answer
        const code = ({ partition }: { partition: number }) => ({ partition, errorCode: answer })
        return {
          responses: request.topics.map(({ topic, partitions }) => ({ topic, partitions: partitions.map(code) })),
        }
      },
    })
    const use = (address: Address, work: (with_: BrokerLink) => unknown) => work(link(address.port) as never)
    const links = { use, signal: new AbortController().signal } as unknown as LinkPool
    const brokers = { ask: (work: (with_: BrokerLink) => unknown) => work(link(0) as never) } as unknown as Brokers
    const offsets = GroupOffsets.over(links, brokers, { brokers: ['b:1'] })
    const assert = (partition: number, position: bigint) =>
      offsets.assert({ group: 'billing', stream: 'orders', partition, position, epoch: 1, replay: 0 })
    return {
      assert,
      commits,
      searches: () => searches,
      hold: () => {
        hold = true
      },
      release: () => {
        hold = false
        for (const resolve of held.splice(0)) resolve()
      },
    }
  }

  it('is looked for once, and again when it has moved', async () => {
    const { assert, commits, searches } = cluster([0, 16, 14, 0, 0])
    await assert(0, 1n)
    await assert(0, 2n)
    await assert(0, 3n)
    expect(commits.map(({ at }) => at)).toEqual([1, 1, 2, 3, 3])
    expect(searches()).toBe(3)
  })

  it('is looked for again when its broker is gone', async () => {
    const { assert, commits } = cluster([new Error('connect ECONNREFUSED')])
    await assert(0, 1n)
    expect(commits.map(({ at }) => at)).toEqual([1, 2])
  })

  it('gets one request for all partitions that wait, and the last position of each', async () => {
    const { assert, commits, hold, release } = cluster([])
    hold()
    const first = [assert(0, 1n), assert(1, 1n)]
    await waitFor(() => commits.length === 1, { what: 'the first commit' })
    const later = [assert(0, 2n), assert(2, 2n), assert(0, 3n)]
    await turn()
    release()
    await Promise.all([...first, ...later])
    const sent = commits.map(({ request }) =>
      request.topics.flatMap(({ partitions }) => partitions.map(({ partition, offset }) => [partition, offset])),
    )
    expect(sent).toEqual([
      [
        [0, '1'],
        [1, '1'],
      ],
      [
        [0, '3'],
        [2, '2'],
      ],
    ])
  })

  it('refuses a group with members, and some of them are named', async () => {
    const { assert } = cluster([25])
    const error = await assert(3, 42n).catch((error: Error) => error)
    expect(error).toMatchObject({
      code: 'GROUP_ACTIVE',
      effect: 'stop',
      place: { group: 'billing', stream: 'orders', partition: 3, offset: '42' },
    })
    expect((error as Error).message).toContain('group billing, orders[3]: position 42')
    expect((error as Error).message).toContain('app-0 at 10.0.0.9, ')
    expect((error as Error).message).toContain('app-4 at 10.0.0.9 and 2 more')
  })

  it.each([
    [30, 'AUTH_FAILED'],
    [29, 'AUTH_FAILED'],
    [3, 'STREAM_NOT_FOUND'],
    [12, 'UNREACHABLE'],
  ])('answers %i, which is %s', async (code, name) => {
    const { assert, commits } = cluster([code])
    await expect(assert(0, 1n)).rejects.toMatchObject({ code: name })
    expect(commits).toHaveLength(1)
  })
})

describe('the note beside an offset', () => {
  it('comes back as it was written', () => {
    const note = { epoch: 3, replay: 1, identity: 'abc', at: 17 }
    expect(readNote(writeNote(note))).toEqual(note)
    expect(readNote(writeNote({ epoch: 3, replay: 0 }))).toEqual({ epoch: 3, replay: 0, identity: null, at: 0 })
  })

  it.each(['', 'some text', '7', 'null', '{}', '{"tidemark":1}', '{"tidemark":1,"epoch":-1,"replay":0}'])(
    'is not what others write: %s',
    (text) => expect(readNote(text)).toBeNull(),
  )
})

describe("a topic's metadata", () => {
  const id = '0123456789abcdef0123456789abcdef'
  const compact = (text: string) => Buffer.concat([Buffer.of(text.length + 1), Buffer.from(text)])
  const int = (value: number) => {
    const bytes = Buffer.alloc(4)
    bytes.writeInt32BE(value)
    return bytes
  }
  const int32 = int(1)

  /** A Metadata response of version 10, with a tagged field wherever there may be one. */
  function response({ errorCode = 0, topicId = id, rack = Buffer.of(0) } = {}): Buffer {
    const tagged = Buffer.of(1, 5, 2, 0xff, 0xff)
    const broker = Buffer.concat([int32, compact('b.example'), int32, rack, tagged])
    const nodes = Buffer.concat([Buffer.of(3), int32, int32])
    const partition = (leader: number, epoch: number) =>
      Buffer.concat([Buffer.of(0, 0), int32, int(leader), int(epoch), nodes, nodes, Buffer.of(1), tagged])
    const partitions = Buffer.concat([Buffer.of(3), partition(7, 300), partition(-1, 4)])
    const name = Buffer.concat([Buffer.of(0, errorCode), compact('orders')])
    const topic = Buffer.concat([name, Buffer.from(topicId, 'hex'), Buffer.of(0), partitions])
    const head = Buffer.concat([tagged, int32, Buffer.of(3), broker, broker, compact('cluster'), int32])
    return Buffer.concat([head, Buffer.of(2), topic])
  }

  it('is its id, its brokers with and without racks, and the leaders with their epochs', () => {
    const broker = { nodeId: 1, host: 'b.example', port: 1 }
    const found = readTopic(response())
    expect(found).toMatchObject({ errorCode: 0, id, brokers: [{ ...broker, rack: null }, broker] })
    expect(found.partitions).toEqual([
      { partition: 1, leader: 7, epoch: 300 },
      { partition: 1, leader: -1, epoch: 4 },
    ])
    expect(readTopic(response({ rack: compact('eu-1a') }))).toMatchObject({ id, brokers: [{ rack: 'eu-1a' }, broker] })
  })

  it('has no id where the cluster gives none', () => {
    const topicId = '00'.repeat(16)
    expect(readTopic(response({ topicId, errorCode: 3 }))).toMatchObject({ errorCode: 3, id: null })
  })

  it('is not read from an answer that was cut short', () => {
    expect(() => readTopic(response().subarray(0, 60))).toThrow('less than it announced')
  })

  it('is asked for by names up to the longest', () => {
    const longest = topicRequest('x'.repeat(249))
    // 250 is two bytes as a varint.
    expect(longest.subarray(18, 20)).toEqual(Buffer.of(0xfa, 0x01))
    expect(longest).toHaveLength(1 + 1 + 16 + 2 + 249 + 1 + 3 + 1)
  })
})
