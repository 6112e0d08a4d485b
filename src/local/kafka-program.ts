import { join } from 'node:path'
import { firstOf } from './lookup.js'
import { jars, java } from './maven.js'
import { type Progress, silent } from './progress.js'

const version = '4.1.0'

export interface KafkaProgram {
  readonly java: string
  /** Folder of the broker's jars and of Kafka's own tools: `java -cp HOME/* org.apache.kafka.tools...`. */
  readonly home: string
}

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
    return { java: program, home: join(folder, 'lib') }
  }
  return firstOf(
    'Kafka broker',
    [{ name: 'Java with jars fetched by Maven', find }],
    'Set KAFKA_BROKERS to a running broker, or install Java 17 or newer and Maven.',
  )
}
