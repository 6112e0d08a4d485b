import type { FullLetter, LetterFailure } from '../../src/ports/index.js'
import type { ConsumerRuntime } from '../runtime.js'
import type { Troubles } from './troubles.js'

/**
 * A set-aside message may end the process of its worker, too. After a loss (suspects.ts), letters are noted before the handler gets them, one
 * by one; one that workers are lost at again and again waits for a person.
 */
export class WatchedLetters {
  constructor(
    private readonly runtime: Pick<ConsumerRuntime, 'settings'>,
    private readonly troubles: Troubles,
  ) {}

  /** Whether workers were lost where the partition stands. */
  isOn(position: bigint): boolean {
    return this.troubles.suspectAt(position) !== undefined
  }

  /** Why the letter is not tried again; null where it is. */
  refused({ id, tries, firstAt }: FullLetter, now: number): LetterFailure | null {
    const { letter } = this.troubles
    if (letter?.id !== id || letter.losses < this.runtime.settings.failures.crashes) return null
    const error = `workers were lost at it ${letter.losses} times`
    return { class: 'crash', code: 'WORKER_LOST', error, tries: tries + 1, firstAt: firstAt ?? now, lastAt: now }
  }

  /** The handler gets the letter next. */
  async begin({ id, offset }: FullLetter): Promise<void> {
    const { letter } = this.troubles
    const losses = letter?.id === id ? letter.losses : 0
    await this.troubles.note({ letter: { id, offset: String(offset), losses, inHand: true } })
  }

  /** The worker is still there: what became of the letter is written elsewhere. */
  async end(): Promise<void> {
    await this.troubles.note({ letter: undefined })
  }
}
