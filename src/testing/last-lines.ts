import type { Log } from '../ports/index.js'

const kept = 20

/** Keeps the last warnings of a worker, for the error of a test that waited in vain. */
export class LastLines implements Log {
  readonly #lines: string[] = []

  constructor(private readonly also: Log | undefined) {}

  debug(fields: object, message: string): void {
    this.also?.debug(fields, message)
  }

  info(fields: object, message: string): void {
    this.also?.info(fields, message)
  }

  warn(fields: object, message: string): void {
    this.#keep(message)
    this.also?.warn(fields, message)
  }

  error(fields: object, message: string): void {
    this.#keep(message)
    this.also?.error(fields, message)
  }

  get text(): string {
    return this.#lines.map((line) => `  ${line}`).join('\n')
  }

  #keep(message: string): void {
    this.#lines.push(message)
    if (this.#lines.length > kept) this.#lines.shift()
  }
}
