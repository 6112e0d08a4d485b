import { copyFile, mkdir, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { silent } from '../../src/local/progress.js'
import { type LocalTemporal, startTemporal } from '../../src/local/temporal.js'
import { temporalProgram } from '../../src/local/temporal-program.js'

/** A Temporal server whose database is a file: `temporal.db`, and what SQLite keeps beside it. */
const database = /^temporal\.db/

/** A Temporal server of a test's own that can be backed up, and restored to a backup under the workers that use it. */
export class RestorableTemporal {
  #backups = 0

  private constructor(readonly server: LocalTemporal) {}

  static async start(): Promise<RestorableTemporal> {
    return new RestorableTemporal(await startTemporal(await temporalProgram(silent), { persist: true }))
  }

  get address(): string {
    return this.server.address
  }

  get namespace(): string {
    return this.server.namespace
  }

  /** Stops the server while its database is copied. Returns what puts that state back, and starts the server from it. */
  async backup(): Promise<() => Promise<void>> {
    const { server } = this.server
    const backup = join(server.folder, `backup-${++this.#backups}`)
    await mkdir(backup)
    await server.stop()
    await this.#copy(server.folder, backup)
    await server.restart()
    return async () => {
      await server.kill()
      for (const file of await readdir(server.folder)) if (database.test(file)) await rm(join(server.folder, file))
      await this.#copy(backup, server.folder)
      await server.restart()
    }
  }

  close(): Promise<void> {
    return this.server.server.close()
  }

  async #copy(from: string, to: string): Promise<void> {
    for (const file of await readdir(from)) if (database.test(file)) await copyFile(join(from, file), join(to, file))
  }
}
