import { chmod, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { firstOf } from './lookup.js'
import { jars, java } from './maven.js'
import { type Progress, silent } from './progress.js'

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
    return join(folder, 'temporal-test-server')
  }
  return firstOf(
    'time-skipping test server',
    [{ name: 'Java with jars fetched by Maven', find }],
    'Install Java 17 or newer and Maven.',
  )
}

/** Finds its jars beside itself, because the installation is moved into place after it was made. */
async function writeLauncher(file: string): Promise<void> {
  const lines = [
    '#!/bin/sh',
    `java=java; [ -x "$JAVA_HOME/bin/java" ] && java="$JAVA_HOME/bin/java"`,
    'lib="$(dirname "$0")/lib"',
    // A small heap and the quick compiler: it lives for seconds.
    'exec "$java" -Xmx512m -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -cp "$lib/*" io.temporal.testserver.TestServer "$@"',
    '',
  ]
  await writeFile(file, lines.join('\n'))
  await chmod(file, 0o755)
}
