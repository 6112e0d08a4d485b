/** Cuts what a socket brings into frames: a length of four bytes, and as many bytes as it says. */
export class Frames {
  #parts: Buffer[] = []
  #size = 0
  /** Bytes to have before looking again. */
  #needed = 4

  /** @param take gets each frame with its length in front */
  constructor(private readonly take: (frame: Buffer) => void) {}

  add(data: Buffer): void {
    this.#parts.push(data)
    this.#size += data.length
    // Put together only when there is a whole frame: a large one comes in hundreds of parts.
    while (this.#size >= this.#needed) {
      const bytes = this.#parts.length === 1 ? this.#parts[0]! : Buffer.concat(this.#parts, this.#size)
      let at = 0
      this.#needed = 4
      while (bytes.length - at >= 4) {
        const length = 4 + bytes.readUInt32BE(at)
        if (length > most) throw new RangeError(`a frame of ${length} bytes is none of a stream`)
        this.#needed = length
        if (bytes.length - at < length) break
        this.take(bytes.subarray(at, at + length))
        at += length
        this.#needed = 4
      }
      this.#size = bytes.length - at
      this.#parts = this.#size > 0 ? [bytes.subarray(at)] : []
      if (this.#size < this.#needed) break
    }
  }
}

const most = 1024 * 1024 * 1024
