export const interrupted = Symbol('interrupted')

const nobody = () => {}

/** Wakes one partition of a batch from its wait: the batch is about to close, or has to let the partition go. */
export class Interrupt {
  #wake = nobody

  /** What `work` gives, or `interrupted` where `fire` was first. One wait at a time. */
  or<T>(work: Promise<T>): Promise<T | typeof interrupted> {
    const wait = new Promise<T | typeof interrupted>((resolve, reject) => {
      this.#wake = () => resolve(interrupted)
      work.then(resolve, reject)
    })
    // A wait that is over must not keep what it gave: a partition may rest for long after its last chunk. (A function made here would.)
    const over = () => {
      this.#wake = nobody
    }
    wait.then(over, over)
    return wait
  }

  fire(): void {
    this.#wake()
  }
}
