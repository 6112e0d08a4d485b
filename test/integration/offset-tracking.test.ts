import { type ChildProcess, spawn } from 'node:child_process'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { marker } from '../../examples/rabbitmq-offset-tracking/places.js'
import { type FreshDatabase, freshDatabase } from '../support/fresh-database.js'
import { describeWith, part } from '../support/parts.js'
import { publish, rabbitmqClient } from '../support/rabbitmq-ground.js'
import { unique } from '../support/unique.js'
import { waitFor } from '../support/wait-for.js'

const folder = 'examples/rabbitmq-offset-tracking'

interface Running {
  readonly child: ChildProcess
  readonly lines: string[]
  /** Its code, null after a signal. */
  readonly ended: Promise<number | null>
}

describeWith(['rabbitmq', 'postgres', 'temporal'], 'the offset tracking tutorial', () => {
  let database: FreshDatabase
  const streams: string[] = []
  const children: ChildProcess[] = []
  beforeEach(async () => {
    database = await freshDatabase()
  })
  afterEach(async () => {
    for (const child of children.splice(0)) child.kill('SIGKILL')
    const client = await rabbitmqClient()
    for (const stream of streams.splice(0)) await client.deleteStream({ stream }).catch(() => {})
    await client.close()
    await database.drop()
  })

  function tutorial() {
    const stream = unique('tutorial')
    streams.push(stream)
    const { address, namespace } = part('temporal')
    const env = {
      ...process.env,
      RABBITMQ_URL: part('rabbitmq').url,
      DATABASE_URL: database.connectionString,
      TEMPORAL_ADDRESS: address,
      TEMPORAL_NAMESPACE: namespace,
      STREAM: stream,
    }
    const start = (program: string, ...args: string[]): Running => {
      const node = ['--import', 'tsx', `${folder}/${program}.ts`]
      const child = spawn(process.execPath, [...node, ...args], { env, stdio: ['ignore', 'pipe', 'inherit'] })
      children.push(child)
      const lines: string[] = []
      let rest = ''
      child.stdout!.on('data', (data: Buffer) => {
        const parts = `${rest}${data}`.split('\n')
        rest = parts.pop()!
        lines.push(...parts)
      })
      return { child, lines, ended: new Promise((resolve) => child.once('close', resolve)) }
    }
    const run = async (program: string, ...args: string[]) => {
      const running = start(program, ...args)
      expect(await running.ended).toBe(0)
      return running.lines
    }
    return { stream, start, run, receive: (from: string) => run('receive', '--from', from) }
  }

  const received = (first: number, last: number) => [
    'Started consuming...',
    'First message received.',
    `Done consuming, first offset ${first}, last offset ${last}.`,
  ]

  it('says what the tutorial says, in its order', async () => {
    const { start, run, receive } = tutorial()
    expect(await run('send')).toEqual(['Publishing 100 messages...', 'Messages confirmed: true.'])
    expect(await receive('first')).toEqual(received(0, 99))
    expect(await receive('42')).toEqual(received(42, 99))
    const next = start('receive', '--from', 'next')
    await waitFor(() => next.lines.includes('Started consuming...'), { what: 'the receiver to wait', timeout: 30_000 })
    await run('send')
    expect(await next.ended).toBe(0)
    expect(next.lines).toEqual(received(100, 199))
    expect(await receive('tracking')).toEqual(received(0, 99))
    expect(await receive('tracking')).toEqual(received(100, 199))
    await run('send')
    const third = (await receive('tracking')).at(-1)!
    // The broker's notes of the stored offsets have taken some in between.
    const [first, last] = [...third.matchAll(/offset (\d+)/g)].map(([, offset]) => Number(offset))
    expect(first).toBeGreaterThan(200)
    expect(last! - first!).toBe(99)
  })

  /** Offsets that a receiver has shown before it was killed, and those that the same command shows afterwards. */
  async function killed(from: string): Promise<{ before: number[]; after: number[] }> {
    const { stream, start, run } = tutorial()
    // What the program `send` writes, whose run is the other test's.
    const wave = Array.from({ length: 100 }, (_, i) => ({ content: Buffer.from(i < 99 ? 'hello' : marker) }))
    const send = async () => {
      const client = await rabbitmqClient()
      await client.createStream({ stream })
      await publish(client, stream, wave)
      await client.close()
    }
    await send()
    const receiver = start('receive', '--from', from, '--show', '--work', '30')
    const seen = (lines: readonly string[]) => lines.flatMap((line) => /^(\d+) /.exec(line)?.[1] ?? []).map(Number)
    const reaches = (what: string, reached: () => boolean) => waitFor(reached, { what, timeout: 60_000 })
    if (from === 'next') {
      await reaches('the receiver to wait', () => receiver.lines.includes('Started consuming...'))
      await send()
    }
    await reaches('messages', () => seen(receiver.lines).length > 25)
    receiver.child.kill('SIGKILL')
    expect(await receiver.ended).toBeNull()
    return { before: seen(receiver.lines), after: seen(await run('receive', '--from', from, '--show')) }
  }

  it('goes on after a kill -9, wherever it began: nothing is missed, at most ten messages come again', async () => {
    const begins = { first: 0, '42': 42, next: 100, tracking: 0 }
    const played = Object.entries(begins).map(async ([from, begin]) => {
      const { before, after } = await killed(from)
      const all = Array.from({ length: begin === 100 ? 100 : 100 - begin }, (_, i) => begin + i)
      expect([...new Set([...before, ...after])].sort((a, b) => a - b)).toEqual(all)
      expect(before.length).toBeLessThan(all.length)
      const again = before.filter((offset) => after.includes(offset))
      expect(again.length).toBeLessThanOrEqual(10)
      console.log(`--from ${from}: killed after ${before.length}, ${again.length} came again`)
    })
    await Promise.all(played)
  })
})
