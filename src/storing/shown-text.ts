/** What is kept of an error's text, in characters. */
const most = 1_000

/** Text that every database can hold: without U+0000 and halves of characters, and not too long. */
export function shownText(text: string, limit = most): string {
  return text
    .slice(0, limit)
    .replace(/\p{Surrogate}/gu, '\ufffd')
    .replaceAll('\0', '\ufffd')
}
