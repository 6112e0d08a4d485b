/** Where a run is. Numbers of events. */
export interface Standing {
  readonly events: number
  readonly appended: number
  readonly rows: number
}

/** How often a line is printed where lines can't be refreshed, ms. */
const lineEvery = 1_000
/** The rate is that of the last so many ms. */
const rateOver = 2_000
const barWidth = 30

/** Shows progress on standard error: one refreshing line on a terminal, else a line now and then. */
export class Screen {
  readonly #refreshes = process.stderr.isTTY === true
  #samples: { readonly at: number; readonly rows: number }[] = []
  #printedAt = 0
  #open = false
  #ended = false

  /** Shows no more progress, whatever is still going on. */
  end(): void {
    this.#ended = true
  }

  /** A line that stays. */
  say(text: string): void {
    if (this.#open) process.stderr.write('\r\x1b[2K')
    this.#open = false
    process.stderr.write(`${text}\n`)
  }

  show(standing: Standing): void {
    if (this.#ended) return
    const now = performance.now()
    const rate = this.#rate(now, standing.rows)
    if (!this.#refreshes && now - this.#printedAt < lineEvery) return
    this.#printedAt = now
    const text = line(standing, rate)
    if (this.#refreshes) this.#refresh(text)
    else this.say(text)
  }

  #refresh(text: string): void {
    // Cut, because a line that wraps can't be refreshed.
    process.stderr.write(`\r\x1b[2K${text.slice(0, (process.stderr.columns || 80) - 1)}`)
    this.#open = true
  }

  /** Rows a second, lately. */
  #rate(now: number, rows: number): number {
    this.#samples.push({ at: now, rows })
    while (this.#samples.length > 2 && this.#samples[0]!.at < now - rateOver) this.#samples.shift()
    const oldest = this.#samples[0]!
    return now > oldest.at ? ((rows - oldest.rows) * 1000) / (now - oldest.at) : 0
  }
}

function line({ events, appended, rows }: Standing, rate: number): string {
  const share = rows / events
  const bar = '█'.repeat(Math.round(share * barWidth)).padEnd(barWidth, '░')
  const percent = `${Math.floor(share * 100)}%`.padStart(4)
  return `${bar} ${percent}  ${number(rows)} rows  ${number(rate)}/s  lag ${number(Math.max(0, appended - rows))}`
}

/** `200,000` */
export function number(value: number): string {
  return Math.round(value).toLocaleString('en-US')
}
