import type { Crew, CrewMember, WireName } from './crew.js'

/** Something that goes wrong with a worker, and how it ends after a while; null where there is nothing to mend. */
export interface Fault {
  readonly kind: string
  begin(crew: Crew, victim: CrewMember): Promise<(() => void) | null>
}

const wires: readonly WireName[] = ['kafka', 'postgres', 'temporal']
const slowness = { latencyMs: 100, bytesPerSecond: 200_000 }

const ofWorkers: readonly Fault[] = [
  {
    kind: 'kill',
    begin: async (crew, { worker }) => {
      crew.workers.kill(worker)
      await crew.join()
      return null
    },
  },
  {
    kind: 'end',
    begin: async (crew, { worker }) => {
      crew.workers.dismiss(worker)
      await crew.join()
      return null
    },
  },
  {
    kind: 'freeze',
    begin: async (_, { worker }) => {
      worker.process.kill('SIGSTOP')
      return () => worker.process.kill('SIGCONT')
    },
  },
]

const ofWires = wires.flatMap((name): Fault[] => [
  {
    kind: `${name} cut`,
    begin: async (_, victim) => {
      victim.wires[name].cut()
      return () => victim.wires[name].heal()
    },
  },
  {
    kind: `${name} slow`,
    begin: async (_, victim) => {
      victim.wires[name].slow(slowness)
      return () => victim.wires[name].heal()
    },
  },
  {
    kind: `${name} reset`,
    begin: async (_, victim) => {
      victim.wires[name].reset()
      return null
    },
  },
])

/** All of them equally often, but for those of workers: twice as often. */
export const faults: readonly Fault[] = [...ofWorkers, ...ofWorkers, ...ofWires]
