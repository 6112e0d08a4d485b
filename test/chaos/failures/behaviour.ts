import { appendFileSync, existsSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Poison } from 'tidemark'
import { garbage, type Order } from './natures.js'

/** What the run has told its workers. Files, since whatever happens to the database must not change what messages do. */
export interface Told {
  readonly folder: string
  readonly serviceUrl: string
  /** How long the event loop is kept busy, ms. */
  readonly blockMs: number
}

/** Once this file is there, all messages work. */
export const mendedFile = (folder: string) => join(folder, 'mended')

/** Does what the message's nature says. */
export async function behave({ id, nature }: Order, isAlone: boolean, told: Told): Promise<void> {
  if (nature === 'good') return
  if (nature === 'service') {
    const answer = await fetch(told.serviceUrl)
    await answer.text()
    return
  }
  if (existsSync(mendedFile(told.folder))) return
  if (nature === 'flaky') return isAlone ? failSometimes(id, told.folder) : throwFor(id)
  if (nature === 'block') return block(told.blockMs)
  if (nature === 'late') await sleep(50)
  if (nature === 'poison') throw new Poison(`message ${id} is poison`)
  if (nature === 'hang') await new Promise(() => {})
  if (nature === 'exit') process.exit(3)
  if (nature === 'heap') fill()
  throwFor(id)
}

/** Fails at the first try of an even message, and the first two of an odd one. Tries in company, while its chunk is halved, are none. */
function failSometimes(id: number, folder: string): void {
  const file = join(folder, `tries-${id}`)
  const tries = existsSync(file) ? statSync(file).size : 0
  if (tries > id % 2) return
  appendFileSync(file, '.')
  throwFor(id)
}

function throwFor(id: number): never {
  throw new Error(`message ${id} fails`)
}

function block(ms: number): void {
  const until = Date.now() + ms
  while (Date.now() < until);
}

function fill(): void {
  for (const kept: number[][] = []; ; ) kept.push(new Array<number>(100_000).fill(kept.length))
}

/** @throws Error for garbage, until everything is mended */
export function decode(bytes: Buffer, { folder }: Told): Order {
  if (bytes[0] !== garbage) return JSON.parse(bytes.toString()) as Order
  if (!existsSync(mendedFile(folder))) throw new Error('garbage')
  return JSON.parse(bytes.subarray(1).toString()) as Order
}
