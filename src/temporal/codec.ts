import type { DataConverter, Payload, PayloadCodec } from '@temporalio/common'
import type { TemporalSettings } from '../config/temporal.js'
import { messageOf, TidemarkError } from '../model/errors.js'

/** What Tidemark's own data is in when no codec has it. */
const plain: ReadonlySet<string> = new Set(['binary/null', 'binary/plain', 'json/plain'])

/** The data converter of workers and commands. Its errors say what to correct in the config. */
export function dataConverterOf({ dataConverter }: Pick<TemporalSettings, 'dataConverter'>): DataConverter {
  const { payloadCodecs = [], failureConverterPath } = dataConverter ?? {}
  return {
    payloadCodecs: [readable, ...payloadCodecs.map(named)],
    ...(failureConverterPath === undefined ? {} : { failureConverterPath }),
  }
}

/** Decodes last. What is not plain by then was encoded by a codec that is not in this config. */
const readable: PayloadCodec = {
  encode: async (payloads) => payloads,
  decode: async (payloads) => {
    for (const { metadata } of payloads) {
      const encoding = Buffer.from(metadata?.encoding ?? []).toString()
      if (!plain.has(encoding))
        throw new TidemarkError(
          'CONFIG_INVALID',
          `Temporal holds data that this config can't read (its encoding is '${encoding}'): put the codec of the workers into temporal.dataConverter.payloadCodecs`,
        )
    }
    return payloads
  },
}

/** A codec whose errors say that they are the codec's. */
function named(codec: PayloadCodec, index: number): PayloadCodec {
  const tried =
    (what: 'encode' | 'decode', hint: string): PayloadCodec['encode'] =>
    async (payloads, context) => {
      try {
        return await codec[what](payloads, context)
      } catch (cause) {
        const codecName = `temporal.dataConverter.payloadCodecs[${index}]`
        const text = `${codecName} could not ${what} what Temporal ${what === 'encode' ? 'gets' : 'holds'} (${messageOf(cause)}): ${hint}`
        throw new TidemarkError(what === 'encode' ? 'UNREACHABLE' : 'CONFIG_INVALID', text, { cause })
      }
    }
  return {
    encode: tried('encode', 'is its key, or the service that has it, there?'),
    decode: tried('decode', 'has it the key that this was encoded with?'),
  }
}

/**
 * What the codecs of a client make of payloads that the SDK hands out as they came.
 *
 * @throws what a codec throws
 */
export async function decoded(payloads: Payload[], codecs: readonly PayloadCodec[]): Promise<Payload[]> {
  let known = payloads
  for (const codec of [...codecs].reverse()) known = await codec.decode(known)
  return known
}
