import { chmod, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Connection } from '@temporalio/client'
import { archiveFile, hasClassArchive, readingArchive } from './class-archive.js'
import { isExecutable } from './command.js'
import { firstOf } from './lookup.js'
import { jars, java } from './maven.js'
import { type Progress, silent } from './progress.js'
import { Server, type ServerKind } from './server.js'

const version = '1.32.0'

/**
 * Path of an executable that is Temporal's time-skipping test server, for
 * `TestWorkflowEnvironment.createTimeSkipping({ server: { executable: { type: 'existing-path', path } } })`.
 * Throws CONFIG_INVALID, saying what to install.
 */
export function timeSkippingServer(progress: Progress = silent): Promise<string> {
  const find = async () => {
    await java()
    const folder = await jars(
      {
        name: `temporal-test-server-${version}`,
        title: 'Temporal time-skipping test server, about 20 s',
        artifacts: [`io.temporal:temporal-test-server:${version}`],
        finish: (draft) => writeLauncher(join(draft, 'temporal-test-server')),
      },
      progress,
    )
    const plain = join(folder, 'temporal-test-server')
    return (await quickLauncher(folder, plain, progress)) ?? plain
  }
  return firstOf(
    'time-skipping test server',
    [{ name: 'Java with jars fetched by Maven', find }],
    'Install Java 17 or newer and Maven.',
  )
}

/** The same server with its classes archived. Null where they can't be. */
async function quickLauncher(folder: string, plain: string, progress: Progress): Promise<string | null> {
  const archive = async (options: readonly string[]) => {
    const server = await Server.start(archivingServer(plain, options))
    try {
      await server.stop()
    } finally {
      await server.close()
    }
  }
  if (!(await hasClassArchive(folder, archive, progress))) return null
  const launcher = join(folder, 'temporal-test-server-quick')
  if (await isExecutable(launcher)) return launcher
  await writeLauncher(`${launcher}.${process.pid}`, readingArchive(`$(dirname "$0")/${archiveFile}`))
  await rename(`${launcher}.${process.pid}`, launcher)
  return launcher
}

function archivingServer(command: string, options: readonly string[]): ServerKind {
  return {
    name: 'time-skipping',
    ports: 1,
    stopSignal: 'SIGTERM',
    stopWithin: 20_000,
    readyWithin: 30_000,
    prepare: async (folder, [port]) => ({
      command,
      args: [String(port)],
      cwd: folder,
      env: { ...process.env, JAVA_TOOL_OPTIONS: options.join(' ') },
    }),
    ready: async ([port]) => {
      const connection = await Connection.connect({ address: `127.0.0.1:${port}`, connectTimeout: 1_000 })
      await connection.close()
    },
  }
}

/** Finds its jars beside itself, because the installation is moved into place after it was made. */
async function writeLauncher(file: string, options: readonly string[] = []): Promise<void> {
  const lines = [
    '#!/bin/sh',
    `java=java; [ -x "$JAVA_HOME/bin/java" ] && java="$JAVA_HOME/bin/java"`,
    'lib="$(dirname "$0")/lib"',
    // A small heap and the quick compiler: it lives for seconds.
    `exec "$java" ${options.map((option) => `"${option}" `).join('')}-Xmx512m -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -cp "$lib/*" io.temporal.testserver.TestServer "$@"`,
    '',
  ]
  await writeFile(file, lines.join('\n'))
  await chmod(file, 0o755)
}
