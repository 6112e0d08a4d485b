import type { HandlerKind } from '../handlers/handler.js'
import { type Whereabouts, whereaboutsOf } from '../model/whereabouts.js'
import type { OffsetStore, Output, Source } from '../ports/index.js'

/** A parsed config, as far as it names what has a server. */
interface Named {
  readonly store: OffsetStore
  readonly mirrors?: readonly OffsetStore[]
  readonly consumers: readonly {
    readonly source: Source
    readonly handler: HandlerKind
    readonly output?: { readonly to: Output }
  }[]
}

/** Stores, sources, databases and outputs of a config. */
export function partsOf({ store, mirrors = [], consumers }: Named): readonly object[] {
  const ofConsumers = consumers.flatMap(({ source, handler, output }) => {
    const database = handler.kind === 'transactional' ? handler.database : undefined
    return [source, ...(database ? [database] : []), ...(output ? [output.to] : [])]
  })
  return [store, ...mirrors, ...ofConsumers]
}

/** The servers that they need, as far as Tidemark knows where they are; one may be there several times. */
export function serversOf(config: Named): readonly Whereabouts[] {
  return [...partsOf(config), config.store.database].flatMap((part) => whereaboutsOf(part) ?? [])
}
