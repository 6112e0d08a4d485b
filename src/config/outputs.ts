import { z } from 'zod'
import type { HandlerKind } from '../handlers/handler.js'
import { TidemarkError } from '../model/errors.js'
import type { Output, Source } from '../ports/index.js'

/** Where a consumer's handler writes messages to. */
export interface ParsedOutput {
  readonly to: Output
  /** Outputs and progress are one transaction of the output's log. */
  readonly transactional: boolean
}

const hasConnect = (value: unknown): value is Output =>
  typeof value === 'object' &&
  value !== null &&
  typeof Reflect.get(value, 'connect') === 'function' &&
  typeof Reflect.get(value, 'maxBufferedBytes') === 'number'

/** The fields of a consumer that are about outputs. */
export const outputFields = {
  output: z
    .custom<Output>(hasConnect, {
      error: 'must be an output, for example kafkaOutput({ brokers }) from tidemark/kafka',
    })
    .optional(),
  transactional: z
    .literal('kafka', {
      error: "must be 'kafka', or left out; for a database, make the handler transactional(...) instead",
    })
    .optional(),
}

interface Given {
  readonly output?: Output | undefined
  readonly transactional?: 'kafka' | undefined
  readonly source: Source
  readonly handler: HandlerKind
  readonly dedupe?: unknown
  readonly commit: { readonly after: string }
}

/**
 * Checks what goes together.
 *
 * @param where of the consumer in the config, for errors
 */
export function parseOutput(given: Given, where: string): ParsedOutput | undefined {
  const { output, transactional, source, handler } = given
  if (!transactional) return output && { to: output, transactional: false }
  const refuse = (why: string): never => {
    throw new TidemarkError('CONFIG_INVALID', `${where}.transactional: 'kafka' ${why}`)
  }
  if (handler.kind === 'transactional')
    refuse(
      'does not go with transactional(handler): no transaction spans Kafka and a database. Make the handler a plain function, ' +
        "or leave 'kafka' out: then outputs are acknowledged before the database commits",
    )
  if (!output) return refuse('needs an output: kafkaOutput({ brokers })')
  if (output.kind !== 'kafka' || source.kind !== 'kafka')
    refuse(`needs a source and an output in Kafka, not ${source.kind} and ${output.kind}`)
  if (!sharesBroker(source, output))
    refuse('needs source and output in the same cluster: name at least one broker in the same way in both')
  if (given.dedupe) refuse('does not go with dedupe, whose keys are kept in a database')
  if (given.commit.after === 'manual') refuse('does not go with commit: manual(): each chunk is one transaction')
  return { to: output, transactional: true }
}

function sharesBroker(source: Source, output: Output): boolean {
  const [mine, theirs] = [source.describe.brokers, output.describe.brokers]
  return Array.isArray(mine) && Array.isArray(theirs) && mine.some((broker) => theirs.includes(broker))
}
