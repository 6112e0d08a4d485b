import type { TestProject } from 'vitest/node'
import { kafkaProgram } from '../../src/local/kafka-program.js'
import { type Stack, type StackOptions, startStack } from '../../src/local/stack.js'
import { isTidemarkError, messageOf } from '../../src/model/errors.js'
import { bringUpToDate } from './built.js'
import { removePacked } from './packed.js'
import type { PartName, PartOf, Provided, ProvidedStack } from './provided.js'

/** What the tests of each kind use. A project not named here gets everything. */
const needs: Record<string, readonly PartName[]> = {
  contract: ['postgres', 'kafka', 'rabbitmq'],
  workflow: ['temporal', 'postgres', 'timeSkipping'],
  replay: [],
}
const everything: readonly PartName[] = ['temporal', 'postgres', 'kafka', 'rabbitmq', 'timeSkipping']

/** Postgres loses nothing here but its safety against a power cut, and gains much of the tests' time. */
const options: Record<PartName, StackOptions> = {
  temporal: { temporal: true },
  postgres: { postgres: { durable: false } },
  kafka: { kafka: true },
  rabbitmq: { rabbitmq: true },
  timeSkipping: { timeSkipping: true },
}

/**
 * Each project of a run loads this file anew, in one process. So the parts are kept where all of them see them: a run has
 * one stack, which ends with the last project.
 */
interface Shared {
  users: number
  readonly parts: Map<PartName, Promise<Stack>>
}

const key = Symbol.for('tidemark.test.stack')
const global = globalThis as { [key]?: Shared }

/** vitest's globalSetup: starts what the project needs and tells its tests the addresses. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  if (global[key] === undefined) bringUpToDate()
  global[key] ??= { users: 0, parts: new Map() }
  const shared = global[key]
  shared.users++
  const wanted = needs[project.name] ?? everything
  try {
    project.provide('stack', await provide(shared, wanted, project.name))
  } catch (error) {
    await release(shared)
    throw error
  }
  return () => release(shared)
}

async function release(shared: Shared): Promise<void> {
  if (--shared.users > 0) return
  const stacks = await Promise.allSettled(shared.parts.values())
  shared.parts.clear()
  await Promise.all(stacks.map((stack) => (stack.status === 'fulfilled' ? stack.value.stop() : undefined)))
  await removePacked()
}

async function provide(shared: Shared, wanted: readonly PartName[], project: string): Promise<ProvidedStack> {
  const part = <P extends PartName>(name: P, read: (stack: Stack) => Promise<Described<P>>) =>
    wanted.includes(name)
      ? describePart(start(shared, name), read)
      : Promise.resolve({ missing: `${project} tests start without it, see test/support/stack.ts`, wanted: false })
  const [temporal, postgres, kafka, rabbitmq, timeSkipping] = await Promise.all([
    part('temporal', async ({ temporal: { address, namespace, uiUrl } }) => ({ address, namespace, uiUrl })),
    part('postgres', async ({ postgres: { connectionString } }) => ({ connectionString })),
    part('kafka', async ({ kafka: { brokers, home } }) => ({ brokers, home: home ?? (await kafkaProgram(tell)).home })),
    part('rabbitmq', async ({ rabbitmq: { url, amqpUrl, managementUrl } }) => ({ url, amqpUrl, managementUrl })),
    part('timeSkipping', async (stack) => ({ path: stack.timeSkipping })),
  ])
  return { temporal, postgres, kafka, rabbitmq, timeSkipping }
}

type Described<P extends PartName> = Omit<PartOf<P>, 'missing'>

function start(shared: Shared, name: PartName): Promise<Stack> {
  const running = shared.parts.get(name) ?? startStack(options[name], { onProgress: tell })
  shared.parts.set(name, running)
  return running
}

/** A part that this machine can't have skips its tests, except in CI. One that is there and does not start is an error. */
async function describePart<T>(running: Promise<Stack>, read: (stack: Stack) => Promise<T>): Promise<Provided<T>> {
  try {
    return { missing: null, ...(await read(await running)) }
  } catch (error) {
    const inCi = process.env.CI !== undefined && process.env.CI !== '' && process.env.CI !== 'false'
    if (inCi || !isTidemarkError(error) || error.code !== 'CONFIG_INVALID') throw error
    tell(`tests will be skipped: ${messageOf(error)}`)
    return { missing: messageOf(error), wanted: true }
  }
}

function tell(line: string): void {
  process.stderr.write(`stack: ${line}\n`)
}
