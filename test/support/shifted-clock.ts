import { chmod, mkdtemp, open, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { run } from '../../src/local/command.js'

const source = fileURLToPath(new URL('./shifted-clock.c', import.meta.url))

/**
 * The clock of one process, which can be set while the process runs. It works for programs that ask the C library for the time: Postgres, the
 * JVM, Erlang, Node. Go asks the kernel itself.
 */
export class ShiftedClock {
  private constructor(private readonly folder: string) {}

  /** Compiles what is preloaded. Needs a C compiler. */
  static async make(): Promise<ShiftedClock> {
    const folder = await mkdtemp(join(tmpdir(), 'tidemark-clock-'))
    // Postgres runs as another user.
    await chmod(folder, 0o755)
    const clock = new ShiftedClock(folder)
    await writeFile(clock.#file, Buffer.alloc(8), { mode: 0o644 })
    await run('cc', ['-shared', '-fPIC', '-O2', '-o', clock.#library, source, '-ldl'], { cwd: folder })
    return clock
  }

  /** The environment of a process that goes by this clock. */
  get env(): Readonly<Record<string, string>> {
    return { LD_PRELOAD: this.#library, SHIFTED_CLOCK_FILE: this.#file }
  }

  /** Sets the clock to so many seconds beside the right time. */
  async shift(seconds: number): Promise<void> {
    const bytes = Buffer.alloc(8)
    bytes.writeBigInt64LE(BigInt(seconds))
    // In place: the process has the file in its memory.
    const file = await open(this.#file, 'r+')
    await file.write(bytes, 0, 8, 0)
    await file.close()
  }

  remove(): Promise<void> {
    return rm(this.folder, { recursive: true })
  }

  get #file(): string {
    return join(this.folder, 'shift')
  }

  get #library(): string {
    return join(this.folder, 'shifted-clock.so')
  }
}
