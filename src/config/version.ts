import { createHash } from 'node:crypto'
import { createRequire } from 'node:module'
import { z } from 'zod'
import type { HandlerKind } from '../handlers/handler.js'
import type { Until } from '../handlers/until.js'
import type { ConsumerSettings } from '../model/settings.js'
import { filledIn } from '../options/names.js'
import type { OffsetStore, Output, Source } from '../ports/index.js'
import type { TidemarkConfig } from './define.js'
import type { ParsedOutput } from './outputs.js'

const { version: packageVersion } = createRequire(import.meta.url)('tidemark/package.json') as { version: string }

/** A version that is given becomes part of a task queue's name, and is shown in tables. */
export const givenVersion = z
  .string({ error: 'must be text, for example a commit' })
  .regex(/^[\w.:+-]{1,64}$/, "must be 1 to 64 letters, digits or any of '.', '_', ':', '+', '-', for example a commit")
  .superRefine(filledIn)
  .optional()

/** The config, which has been checked, with this version for each of its consumers, whatever they say themselves. */
export function withVersion(config: TidemarkConfig, version: string): TidemarkConfig {
  const consumers = config.options.consumers.map((one) => ({ ...one, options: { ...one.options, version } }))
  return { ...config, options: { ...config.options, consumers } }
}

/** Everything that decides what becomes of a message, and where. */
export interface Versioned {
  readonly settings: ConsumerSettings
  readonly source: Source
  readonly handler: HandlerKind
  readonly store: OffsetStore
  readonly mirrors: readonly OffsetStore[] | undefined
  readonly output: ParsedOutput | undefined
  readonly dedupe:
    | { readonly key: (...message: never[]) => string | Uint8Array | null; readonly retentionMs: number }
    | undefined
  readonly until: Until | undefined
  readonly failing: {
    readonly classify?: (error: unknown) => unknown
    readonly redact?: (text: string) => string
    readonly output?: Output
  }
}

/**
 * Names a consumer's config: equal wherever the same Tidemark was given the same config, and another one when any of its parts is
 * another one. Passwords are no part of it. Nor is code that the handler calls: see the `version` option.
 */
export function versionOf(config: Versioned, tidemark: string = packageVersion): string {
  const { settings, source, handler, store, mirrors, output, dedupe, until, failing } = config
  const database = handler.kind === 'transactional' ? handler.database : undefined
  const parts = {
    tidemark,
    settings,
    source: placeOf(source),
    handler: [handler.kind, String(handler.handle)],
    database: database && placeOf(database),
    store: placeOf(store),
    mirrors: mirrors?.map(placeOf),
    output: output && [output.to && placeOf(output.to), output.transactional],
    dedupe: dedupe && [String(dedupe.key), dedupe.retentionMs],
    until: until && String(until),
    failing: [
      failing.classify && String(failing.classify),
      failing.redact && String(failing.redact),
      failing.output && placeOf(failing.output),
    ],
  }
  const text = JSON.stringify(parts, (_, value) => (typeof value === 'bigint' ? String(value) : value))
  return createHash('sha256').update(text).digest('hex').slice(0, 8)
}

function placeOf({ kind, describe }: { readonly kind: string; readonly describe: object }): [string, object] {
  return [kind, describe]
}
