import { CancellationScope, sleep } from '@temporalio/workflow'

/** Wakes a slice at rest when a message that was set aside comes back. One timer at most, which is billed once however long it is. */
export class Alarm {
  #at: number | null = null
  #scope: CancellationScope | undefined

  /** @param at ms since 1970; null: nothing comes back */
  set(at: number | null, ring: () => void): void {
    if (at === this.#at) return
    this.#scope?.cancel()
    this.#at = at
    if (at === null) return
    const scope = new CancellationScope()
    this.#scope = scope
    void scope
      .run(() => sleep(Math.max(1, at - Date.now())))
      .then(() => {
        this.#at = null
        ring()
      })
      .catch(() => {})
  }
}
