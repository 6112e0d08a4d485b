import type { ByteLoan } from '../ports/index.js'

/** The memory of something that is handed out in parts: given back when all of it was handed out, and every part was given back. */
export class Lent {
  #parts = 0
  #done = false

  constructor(private readonly loan: ByteLoan) {}

  /** Nothing more of it will be handed out. */
  get done(): boolean {
    return this.#done
  }

  /** Hands out a part; what is returned gives it back, once. */
  lend(): () => void {
    this.#parts++
    let open = true
    return () => {
      if (!open) return
      open = false
      this.#parts--
      this.#settle()
    }
  }

  /** The part that is handed out next is the last one. */
  end(): void {
    this.#done = true
  }

  /** Nothing more is handed out. */
  drop(): void {
    this.#done = true
    this.#settle()
  }

  #settle(): void {
    if (this.#done && this.#parts === 0) this.loan.release()
  }
}
