import { setTimeout as sleep } from 'node:timers/promises'
import type { Client } from '@temporalio/client'
import { applyReset, type ConsumerView, planReset, startGroups, viewGroups } from 'tidemark'
import { pauseGroup, resumeGroup } from '../../src/client/commands.js'
import { groupWorkflowId } from '../../src/model/partition.js'
import { waitFor } from '../support/wait-for.js'
import { groupsOf, type SoakGroup, soakConfig } from './config.js'
import type { Leak, Places } from './orders.js'
import type { SoakWorker } from './soak-worker.js'

/** What people do in the meantime, in this order, to one group after the other. */
const kinds = ['pause', 'reset', 'deploy', 'cancel'] as const
type Kind = (typeof kinds)[number]

/** Messages that a reset has handled again. Never a time: a group that is behind would be put ahead. */
const goBack = 20n
/** A command has to be obeyed within this time, ms. */
const patience = 60_000

export interface Deeds {
  readonly done: Readonly<Record<Kind, number>>
  /** What was not obeyed. */
  readonly failed: readonly string[]
}

/** The people who operate a soak's groups. */
export class People {
  readonly #done: Record<Kind, number> = { pause: 0, reset: 0, deploy: 0, cancel: 0 }
  readonly #failed: string[] = []
  #version = 0

  constructor(
    private readonly places: Places,
    private readonly client: Client,
    private readonly worker: SoakWorker,
    private readonly leak: Leak | null,
  ) {}

  /** Whether each kind of thing was done at least once: what the first one of a kind loads stays in memory. */
  get areWarm(): boolean {
    return kinds.every((kind) => this.#done[kind] > 0)
  }

  get deeds(): Deeds {
    return { done: this.#done, failed: this.#failed }
  }

  /** Something every `pauseMs`, until the signal. Rejects when the worker is gone. */
  async busyUntil(signal: AbortSignal, pauseMs: number): Promise<void> {
    const groups = groupsOf(this.places)
    for (let round = 0; !signal.aborted; round++)
      for (const kind of kinds) {
        if (signal.aborted) return
        const target = groups[(round + kinds.indexOf(kind)) % groups.length]!
        try {
          await this.#do(kind, target)
          this.#done[kind]++
        } catch (error) {
          this.#failed.push(`${kind} ${target.group}: ${error instanceof Error ? error.message : error}`)
        }
        await Promise.race([sleep(pauseMs, undefined, { signal }).catch(() => {}), this.worker.failure])
      }
  }

  /** Puts a new version in force, as a rolling deploy does. */
  async deploy(): Promise<void> {
    const version = `v${++this.#version}`
    await this.worker.tell({ do: 'deploy', places: this.places, version, leak: this.leak })
  }

  /** What `tidemark status` says of the groups with something to do. */
  async look(): Promise<readonly ConsumerView[]> {
    const busy = groupsOf(this.places).filter((group) => group.busy)
    const views = await viewGroups(soakConfig(this.places, `v${this.#version}`))
    return views.filter(({ group }) => busy.some((one) => one.group === group))
  }

  async #do(kind: Kind, { group, stream }: SoakGroup): Promise<void> {
    const name = { group, stream }
    const config = soakConfig(this.places, `v${this.#version}`)
    if (kind === 'deploy') return this.deploy()
    if (kind === 'pause') {
      await pauseGroup(this.client, name, { reason: 'soak' })
      await resumeGroup(this.client, name)
    }
    if (kind === 'reset') {
      const plan = await planReset(config, { ...name, to: { by: -goBack } })
      await applyReset(config, plan, { why: 'soak' })
    }
    if (kind === 'cancel') {
      const workflow = this.client.workflow.getHandle(groupWorkflowId(group, stream))
      await workflow.cancel()
      const ended = async () => (await workflow.describe()).status.name !== 'RUNNING'
      await waitFor(ended, { timeout: patience, what: `${group} to end` })
      await startGroups(config, { client: this.client, only: [name], resumeStopped: true })
    }
  }
}
