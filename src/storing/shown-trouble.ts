import type { Trouble } from '../model/trouble.js'
import { shownText } from './shown-text.js'

/** A trouble whose texts every database can hold. */
export function shownTrouble(trouble: Trouble): Trouble {
  const { failing } = trouble
  if (!failing) return trouble
  const { code, first, last } = failing
  return { ...trouble, failing: { ...failing, code: shownText(code), first: shownText(first), last: shownText(last) } }
}
