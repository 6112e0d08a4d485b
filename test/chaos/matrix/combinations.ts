import { type CommitOption, everyN, manual, periodic } from 'tidemark'

/** Messages that a handler gets at once, at most. */
export const chunk = 25
/** The handler under `manual` commits after so many messages. */
export const manualEvery = 10

export interface Combination {
  /** Also the name of the group. */
  readonly name: string
  readonly source: 'kafka' | 'postgres'
  readonly kind: 'transactional' | 'plain'
  readonly commit: CommitOption
  /** Messages of one partition that one kill -9 may make a plain handler see again, as docs/offsets.md says. */
  readonly window: number
}

const strategies: readonly { readonly name: string; readonly commit: CommitOption; readonly window: number }[] = [
  { name: 'afterBatch', commit: 'afterBatch', window: chunk },
  { name: 'afterEach', commit: 'afterEach', window: 1 },
  { name: 'everyN', commit: everyN(10), window: 10 },
  { name: 'periodic', commit: periodic('200ms'), window: chunk },
  { name: 'manual', commit: manual('1h'), window: manualEvery },
]

/** Every commit strategy with every source and both kinds of handlers. */
export const combinations: readonly Combination[] = strategies.flatMap(({ name, commit, window }) =>
  (['kafka', 'postgres'] as const).flatMap((source) =>
    (['transactional', 'plain'] as const).map((kind) => ({
      name: `${name}-${source}-${kind}`,
      source,
      kind,
      commit,
      window: kind === 'plain' ? window : 0,
    })),
  ),
)
