import { setTimeout as sleep } from 'node:timers/promises'
import type { LocalPostgres } from '../../../src/local/postgres.js'
import type { ChaosWorker } from '../workers.js'
import type { FailureGround } from './ground.js'
import type { Shift } from './shift.js'

/** What faults happen to. */
export interface Scene {
  readonly ground: FailureGround
  readonly shift: Shift
  readonly database: LocalPostgres
}

/** Something that goes wrong beside the messages, from its beginning to its end. */
export interface Fault {
  readonly kind: string
  /** Of the database: one at a time. */
  readonly ofDatabase: boolean
  /** @param lastsMs how long, where it lasts */
  happen(scene: Scene, victim: ChaosWorker, lastsMs: number): Promise<void>
}

const ofWorkers: readonly Fault[] = [
  { kind: 'kill', ofDatabase: false, happen: async ({ shift }, victim) => shift.workers.kill(victim) },
  { kind: 'end', ofDatabase: false, happen: async ({ shift }, victim) => shift.workers.dismiss(victim) },
  {
    kind: 'freeze',
    ofDatabase: false,
    happen: async (_, { process }, lastsMs) => {
      process.kill('SIGSTOP')
      await sleep(lastsMs)
      process.kill('SIGCONT')
    },
  },
]

/** @param lockMs how long nobody gets at the letters */
const ofDatabase = (lockMs: number): readonly Fault[] => [
  { kind: 'database restarted', ofDatabase: true, happen: ({ database }) => database.server.restart() },
  {
    kind: 'database killed',
    ofDatabase: true,
    happen: async ({ database }, _, lastsMs) => {
      await database.server.kill()
      await sleep(lastsMs / 2)
      await database.server.restart()
    },
  },
  {
    kind: 'disk full',
    ofDatabase: true,
    happen: async ({ ground }, _, lastsMs) => {
      await ground.ask('update public.disk set is_full = true')
      await sleep(lastsMs)
      await ground.ask('update public.disk set is_full = false')
    },
  },
  {
    kind: 'letters locked',
    ofDatabase: true,
    happen: async ({ ground }) => {
      const client = await ground.client()
      try {
        await client.query('begin')
        await client.query('lock table tidemark.dead_letters in access exclusive mode')
        await sleep(lockMs)
        await client.query('rollback')
      } finally {
        await client.end()
      }
    },
  },
]

/** Those of workers come three times as often as those of the database. */
export function faultsWith(lockMs: number): readonly Fault[] {
  return [...ofWorkers, ...ofWorkers, ...ofWorkers, ...ofWorkers, ...ofDatabase(lockMs)]
}

/**
 * Makes a full disk possible: a trigger that answers what Postgres does then (53100), for effects and letters. A small file system would
 * need root's rights to mount one.
 */
export async function prepareDisk(ground: FailureGround): Promise<void> {
  await ground.ask('create table if not exists public.disk as select false as is_full')
  await ground.ask(`create or replace function public.write_to_disk() returns trigger language plpgsql as $$ begin
    if (select is_full from public.disk) then
      raise exception 'could not extend file "base/5/16384": No space left on device' using errcode = '53100';
    end if;
    return null;
  end $$`)
  for (const table of ['effects', 'tidemark.dead_letters'])
    await ground.ask(
      `create or replace trigger disk before insert on ${table} for each statement execute function public.write_to_disk()`,
    )
}
