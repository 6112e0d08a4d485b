import type { ByteLoan } from '../../ports/index.js'

/**
 * The memory of the chunks that were asked for together: what was borrowed before asking, and what they take once they are
 * here and unpacked. Given back as they are handled.
 */
export class Window {
  #held = 0
  #ended = false

  constructor(
    private readonly loan: ByteLoan,
    /** Bytes that may still arrive. */
    private expected: number,
  ) {}

  /** A chunk of so many bytes is taken out of what has arrived; it takes `memory` until its loan is released. */
  take(bytes: number, memory: number): ByteLoan {
    this.expected = Math.max(0, this.expected - bytes)
    let mine = memory
    const change = (to: number) => {
      this.#held += to - mine
      mine = to
      this.#settle()
    }
    this.#held += memory
    this.#settle()
    return { resize: change, release: () => change(0) }
  }

  /** Nothing more is in the log at the moment. What comes nevertheless is paid for once it is taken. */
  rest(): void {
    this.expected = 0
    this.#settle()
  }

  /** Nothing more will arrive. */
  end(): void {
    this.#ended = true
    this.#settle()
  }

  #settle(): void {
    const bytes = this.#held + (this.#ended ? 0 : this.expected)
    if (this.#ended && bytes === 0) this.loan.release()
    else this.loan.resize(bytes)
  }
}
