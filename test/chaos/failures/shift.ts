import { readFileSync } from 'node:fs'
import type { ChaosWorker, Workers } from '../workers.js'

/** How often the ranks are looked at, ms. */
const everyMs = 300

/** So many workers all the time: each one that ends, whatever for, is replaced. */
export class Shift {
  #timer: NodeJS.Timeout | undefined
  /** The most memory that any worker has had, MB; 0 where the system does not tell. */
  peakRssMb = 0

  constructor(
    readonly workers: Workers,
    private readonly size: number,
  ) {}

  begin(): void {
    this.#look()
    this.#timer = setInterval(() => this.#look(), everyMs)
  }

  /** One of those that are there. */
  pick(share: number): ChaosWorker {
    const all = [...this.workers.alive.values()]
    return all[Math.floor(share * all.length)] ?? this.workers.start()
  }

  calm(): void {
    for (const { process } of this.workers.alive.values()) process.kill('SIGCONT')
  }

  async end(): Promise<void> {
    clearInterval(this.#timer)
    await this.workers.end()
  }

  #look(): void {
    while (this.workers.alive.size < this.size) this.workers.start()
    for (const { process } of this.workers.alive.values())
      this.peakRssMb = Math.max(this.peakRssMb, peakOf(process.pid))
  }
}

function peakOf(pid: number | undefined): number {
  try {
    const kilobytes = /^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
    return Math.round(Number(kilobytes ?? 0) / 1024)
  } catch {
    return 0
  }
}
