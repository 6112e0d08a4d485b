import type { OffsetFilter, OffsetStoreClient } from '../../src/ports/index.js'

/** One kind of name: as the tests say it, and as a store that is shared with others gets it. */
export interface Renaming {
  inside(name: string): string
  /** Null for names of others. */
  outside(name: string): string | null
}

/** Every name gets a prefix of its own. */
export function prefixed(prefix: string): Renaming {
  return {
    inside: (name) => `${prefix}${name}`,
    outside: (name) => (name.startsWith(prefix) ? name.slice(prefix.length) : null),
  }
}

/** Prefixed, and in letters that are allowed everywhere. */
export function spelled(prefix: string): Renaming {
  const { inside, outside } = prefixed(prefix)
  return {
    inside: (name) => inside(Buffer.from(name).toString('hex')),
    outside: (name) => {
      const hex = outside(name)
      return hex === null ? null : Buffer.from(hex, 'hex').toString()
    },
  }
}

/** A store under other names: a suite with names of its own can use a server that others use, too. */
export function renamedStore(store: OffsetStoreClient, groups: Renaming, streams: Renaming): OffsetStoreClient {
  type Named = { readonly group: string; readonly stream: string }
  const inside = <T extends Named>(key: T): T => ({
    ...key,
    group: groups.inside(key.group),
    stream: streams.inside(key.stream),
  })
  const outside = <T extends Named>(row: T): T[] => {
    const [group, stream] = [groups.outside(row.group), streams.outside(row.stream)]
    return group === null || stream === null ? [] : [{ ...row, group, stream }]
  }
  const filter = <F extends OffsetFilter>({ group, stream, ...rest }: F) => ({
    ...rest,
    ...(group === undefined ? {} : { group: groups.inside(group) }),
    ...(stream === undefined ? {} : { stream: streams.inside(stream) }),
  })
  return {
    migrate: () => store.migrate(),
    read: async (group, stream) =>
      (await store.read(groups.inside(group), streams.inside(stream))).flatMap((row) => outside(row)),
    list: async (wanted) => (await store.list(filter(wanted))).flatMap((row) => outside(row)),
    open: async (key, options) => outside(await store.open(inside(key), options))[0]!,
    commit: (key, commit) => store.commit(inside(key), commit),
    reset: async (key, change) => outside(await store.reset(inside(key), change))[0]!,
    resetIf: async (key, seen, change) => {
      const stored = await store.resetIf(inside(key), seen, change)
      return stored && outside(stored)[0]!
    },
    history: async ({ limit, ...wanted }) =>
      (await store.history({ ...filter(wanted), limit })).flatMap((row) => outside(row)),
    assert: (offset) => store.assert(inside(offset)),
    ...(store.delete && {
      delete: (group: string, stream: string) => store.delete!(groups.inside(group), streams.inside(stream)),
    }),
    close: () => store.close(),
  }
}
