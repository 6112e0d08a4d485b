import { upsertMemo } from '@temporalio/workflow'
import type { SliceMemo } from '../../src/model/commands.js'

type Asked = NonNullable<SliceMemo['letGo']>

/**
 * Tells batches which partitions are not theirs any more, up to which epoch and batch. They look at the workflow's memo, which costs
 * less than heartbeats would.
 */
export class LetGoMemo {
  #shown: Asked = {}

  /** @param mayBeTaken whether a batch under way, or another try of it, could take the partition: all others are taken out of the memo */
  add(asked: Asked, mayBeTaken: (partition: number) => boolean): void {
    if (Object.keys(asked).every((index) => String(this.#shown[index]) === String(asked[index]))) return
    const current = Object.entries({ ...this.#shown, ...asked }).filter(
      ([index]) => index in asked || mayBeTaken(Number(index)),
    )
    this.#shown = Object.fromEntries(current)
    const memo: SliceMemo = { letGo: this.#shown }
    upsertMemo({ ...memo })
  }
}
