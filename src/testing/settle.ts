import { setTimeout as sleep } from 'node:timers/promises'
import type { TestPlace } from './messages.js'
import { type Standing, shownStates, type TestPartition } from './states.js'
import type { Work } from './work.js'

/** Pause between two looks at how everything stands, ms in real time. */
const lookEvery = 5
/** Messages that nothing handles for so long are announced again, ms. */
const wakeAgainAfter = 250

interface Settling {
  look(): Promise<Standing | undefined>
  wake(places: readonly TestPlace[]): Promise<void>
  readonly work: Pick<Work, 'inHand'>
  /** In real time. */
  readonly timeoutMs: number
  /** What helps to understand that nothing settles. */
  remarks(): string
}

/**
 * Waits until nothing happens any more without time passing or somebody acting.
 *
 * @throws Error after `timeoutMs`
 */
export async function untilSettled({
  look,
  wake,
  work,
  timeoutMs,
  remarks,
}: Settling): Promise<readonly TestPartition[]> {
  const until = performance.now() + timeoutMs
  let last: Standing | undefined
  let wokenAt = performance.now()
  for (;;) {
    if (work.inHand === 0) {
      const standing = await look()
      if (standing?.busy.length === 0) return standing.partitions
      last = standing ?? last
      if (standing && standing.asleep.length > 0 && performance.now() - wokenAt > wakeAgainAfter) {
        wokenAt = performance.now()
        await wake(standing.asleep.map(({ stream, partition, position }) => ({ stream, partition, offset: position })))
      }
    }
    if (performance.now() > until) {
      const states = last ? `\n${shownStates(last.partitions)}` : ' the workflows have not said how they stand'
      throw new Error(
        `not settled after ${timeoutMs} ms, ${work.inHand} activities are running:${states}\n${remarks()}`,
      )
    }
    await sleep(lookEvery)
  }
}
