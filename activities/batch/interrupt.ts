export const interrupted = Symbol('interrupted')

/** Wakes one partition of a batch from its wait: the batch is about to close, or has to let the partition go. */
export class Interrupt {
  #wake = () => {}

  /** What `work` gives, or `interrupted` where `fire` was first. One wait at a time. */
  or<T>(work: Promise<T>): Promise<T | typeof interrupted> {
    return new Promise((resolve, reject) => {
      this.#wake = () => resolve(interrupted)
      work.then(resolve, reject)
    })
  }

  fire(): void {
    this.#wake()
  }
}
