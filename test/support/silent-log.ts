import type { Log } from '../../src/ports/index.js'

/** A log that keeps its lines for tests that look at them, and prints nothing. */
export function silentLog(): Log & {
  readonly lines: { readonly level: string; readonly fields: object; readonly message: string }[]
} {
  const lines: { level: string; fields: object; message: string }[] = []
  const at = (level: string) => (fields: object, message: string) => {
    lines.push({ level, fields, message })
  }
  return { lines, debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') }
}
