import type { Consumer, ConsumerOptions, TidemarkOptions } from './options.js'

/** A config as it was written. It is checked when a worker, a group or a command uses it: see `parseConfig`. */
export interface TidemarkConfig {
  readonly kind: 'tidemark-config'
  readonly options: TidemarkOptions
}

/** Describes a consumer. Opens nothing. */
export function consumer<V>(options: ConsumerOptions<V>): Consumer {
  return { kind: 'consumer', options }
}

/** Describes what a worker runs: the default export of `tidemark.config.ts`. Opens nothing. */
export function defineConfig(options: TidemarkOptions): TidemarkConfig {
  return { kind: 'tidemark-config', options }
}
