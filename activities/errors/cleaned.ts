/** Shorter ones occur in texts by chance. */
const shortestSecret = 4
/** Longer credentials in a URL are found by the config's secrets, if at all. */
const longestLogin = 512
const removed = '[removed]'

/** Makes a text fit to be shown: at most so many characters, without secrets, in well-formed Unicode. */
export type Cleaned = (text: string, most: number, whole?: number) => string

/**
 * Takes out the secrets, in the clear and as URLs write them, and the credentials of any URL. The work depends on the characters that
 * are wanted and the number of secrets, and not on the length of the text.
 */
export function cleaning(secrets: readonly string[]): Cleaned {
  const forms = [...new Set(secrets.flatMap((one) => [one, encodeURIComponent(one)]))]
    .filter((one) => one.length >= shortestSecret)
    // Longest first, so that a secret that another one begins with is taken out whole.
    .sort((a, b) => b.length - a.length)
  const credentials = `(?<=://)[^\\s/?#@]{1,${longestLogin}}@`
  const pattern = [...forms.map((one) => one.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&')), credentials].join('|')
  // Enough to see the end of what begins before the cut.
  const overlap = Math.max(longestLogin + 1, forms[0]?.length ?? 0)

  return (text, most, whole = text.length) => {
    const seen = text.slice(0, most + overlap)
    let clean = ''
    let at = 0
    for (const { 0: found, index } of seen.matchAll(new RegExp(pattern, 'g'))) {
      if (index >= most) break
      clean += `${seen.slice(at, index)}${found.endsWith('@') && !forms.includes(found) ? `${removed}@` : removed}`
      at = index + found.length
    }
    clean += seen.slice(at, Math.max(at, most))
    if (whole <= Math.max(at, most) && clean.length <= most) return wellFormed(clean)
    const mark = ` … (${whole} characters)`
    return wellFormed(clean.slice(0, most - mark.length)) + mark
  }
}

/** Temporal takes no text that is no UTF-8, and then the failure itself would be lost. */
function wellFormed(text: string): string {
  return text.replace(/\p{Surrogate}/gu, '\ufffd').replace(/[^\P{Cc}\n\t]/gu, ' ')
}
