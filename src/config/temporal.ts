import { isAbsolute } from 'node:path'
import type { ClientInterceptors } from '@temporalio/client'
import type { PayloadCodec } from '@temporalio/common'
import type { ActivityInterceptorsFactory } from '@temporalio/worker'
import { z } from 'zod'
import { filledIn } from '../options/names.js'

/** How Temporal is reached, and what becomes of the data that goes there. */
export interface TemporalOptions {
  /** `host:port`. Default: `TEMPORAL_ADDRESS`, else `127.0.0.1:7233`. */
  readonly address?: string
  /** The namespace that holds the workflows. It must exist. Default: `TEMPORAL_NAMESPACE`, else `default`. */
  readonly namespace?: string
  /** `true`, or certificates (PEM) for mutual TLS. */
  readonly tls?:
    | boolean
    | { readonly cert?: Buffer; readonly key?: Buffer; readonly ca?: Buffer; readonly serverName?: string }
  /** For Temporal Cloud and servers that ask for one. It turns TLS on. Default: `TEMPORAL_API_KEY`. */
  readonly apiKey?: string
  /** What encrypts or compresses the data in Temporal. Workers and commands need the same: they read what the others have written. */
  readonly dataConverter?: {
    /** As the SDK's option of that name: the first one encodes first. A codec that gets a new key has to know the old one as well. */
    readonly payloadCodecs?: readonly PayloadCodec[]
    /** Absolute path of a JavaScript module that exports `failureConverter`, used by activities and commands. */
    readonly failureConverterPath?: string
  }
  /** Interceptors of Temporal's SDK. */
  readonly interceptors?: {
    /** For what workers and commands ask Temporal. */
    readonly client?: ClientInterceptors
    /** For a worker's activities. */
    readonly activity?: readonly ActivityInterceptorsFactory[]
  }
}

export interface TemporalSettings extends Omit<TemporalOptions, 'address' | 'namespace'> {
  readonly address: string
  readonly namespace: string
}

const pem = z.instanceof(Buffer, { error: 'must be a Buffer with PEM text' }).optional()
const filled = z.string({ error: 'must be text' }).min(1, 'must not be empty').superRefine(filledIn)
const tlsForms = 'must be true, false or { cert, key, ca, serverName }'

const codec = z.custom<PayloadCodec>(
  (value) =>
    typeof value === 'object' &&
    value !== null &&
    ['encode', 'decode'].every((method) => typeof Reflect.get(value, method) === 'function'),
  { error: 'must be a payload codec: an object with the functions encode and decode' },
)
const factory = z.custom<ActivityInterceptorsFactory>((value) => typeof value === 'function', {
  error: 'must be a function that returns interceptors',
})

/** An option of the SDK that would have to be part of the workflows' code. */
const prebuilt = (text: string) => z.undefined({ error: `${text}: Tidemark's workflows are bundled when it is built` })

export const temporalSchema = z
  .strictObject({
    address: filled.regex(/^[^\s/@]+$/, "must be 'host:port', like '127.0.0.1:7233'").optional(),
    namespace: filled.optional(),
    tls: z
      .union([z.boolean(), z.strictObject({ cert: pem, key: pem, ca: pem, serverName: filled.optional() })], {
        error: tlsForms,
      })
      .optional(),
    apiKey: filled.optional(),
    dataConverter: z
      .strictObject(
        {
          payloadCodecs: z.array(codec, { error: 'must be a list of payload codecs' }).optional(),
          failureConverterPath: filled
            .refine(isAbsolute, "must be an absolute path, like fileURLToPath(new URL('failures.js', import.meta.url))")
            .optional(),
          payloadConverterPath: prebuilt(
            "can't be used (all that Tidemark keeps in Temporal is plain JSON); encrypt or compress with payloadCodecs",
          ).optional(),
        },
        { error: 'must be an object like { payloadCodecs: [...] }' },
      )
      .optional(),
    interceptors: z
      .strictObject(
        {
          client: z
            .custom<ClientInterceptors>((value) => typeof value === 'object' && value !== null, {
              error: "must be the SDK's ClientInterceptors: an object like { workflow: [...] }",
            })
            .optional(),
          activity: z.array(factory, { error: 'must be a list of functions that return interceptors' }).optional(),
          workflowModules: prebuilt("can't be used").optional(),
        },
        { error: 'must be an object like { client, activity }' },
      )
      .optional(),
  })
  .prefault({})

/** Fills in what the environment says. */
export function temporalSettings(given: z.infer<typeof temporalSchema>, env: NodeJS.ProcessEnv): TemporalSettings {
  const { address, namespace, tls, apiKey = env.TEMPORAL_API_KEY, dataConverter, interceptors } = given
  return {
    address: address ?? env.TEMPORAL_ADDRESS ?? '127.0.0.1:7233',
    namespace: namespace ?? env.TEMPORAL_NAMESPACE ?? 'default',
    ...(tls === undefined ? {} : { tls: tls as NonNullable<TemporalSettings['tls']> }),
    ...(apiKey ? { apiKey } : {}),
    ...(dataConverter && { dataConverter: dataConverter as NonNullable<TemporalSettings['dataConverter']> }),
    ...(interceptors && { interceptors: interceptors as NonNullable<TemporalSettings['interceptors']> }),
  }
}
