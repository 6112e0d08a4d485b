import { dirname, join } from 'node:path'
import { archiveFile, hasClassArchive, readingArchive } from './class-archive.js'
import { type KafkaProgram, startKafka } from './kafka.js'
import { firstOf } from './lookup.js'
import { jars, java } from './maven.js'
import { type Progress, showing, silent } from './progress.js'

const version = '4.1.0'

/** Kafka's jars, fetched the first time. Throws CONFIG_INVALID, saying what to install. */
export function kafkaProgram(progress: Progress = silent): Promise<KafkaProgram> {
  const find = async () => {
    const program = await java()
    const folder = await jars(
      {
        name: `kafka-${version}`,
        title: `Kafka ${version}, 54 MB`,
        artifacts: [
          `org.apache.kafka:kafka_2.13:${version}`,
          `org.apache.kafka:kafka-tools:${version}`,
          // Without a logging backend the broker would end without saying why.
          'org.slf4j:slf4j-simple:1.7.36',
        ],
      },
      progress,
    )
    return { java: program, javaOptions: [], home: join(folder, 'lib') }
  }
  return firstOf(
    'Kafka broker',
    [{ name: 'Java with jars fetched by Maven', find }],
    'Set KAFKA_BROKERS to a running broker, or install Java 17 or newer and Maven.',
  )
}

/** The same, for who starts brokers: from an archive of their classes, which is made the first time. */
export async function quickKafkaProgram(progress: Progress = silent): Promise<KafkaProgram> {
  const plain = await kafkaProgram(progress)
  const folder = dirname(plain.home)
  const archive = (javaOptions: readonly string[]) =>
    showing(progress, "archiving Kafka's classes, once", startAndStop({ ...plain, javaOptions }))
  if (!(await hasClassArchive(folder, archive, progress))) return plain
  return { ...plain, javaOptions: readingArchive(join(folder, archiveFile)) }
}

async function startAndStop(program: KafkaProgram): Promise<void> {
  const { server } = await startKafka(program, { stopWithin: 30_000 })
  try {
    await server.stop()
  } finally {
    await server.close()
  }
}
