import type { Client, Connection } from '@temporalio/client'

/** The server's numbers for its types of search attributes (temporal.api.enums.v1.IndexedValueType). */
const keyword = 2
const int = 3
const keywordList = 7

const wanted: Record<string, number> = {
  TidemarkGroup: keyword,
  TidemarkStream: keyword,
  TidemarkSlice: int,
  TidemarkState: keywordList,
}

/**
 * Makes sure that the namespace knows Tidemark's search attributes, so that people can look for `TidemarkState = "blocked"`.
 *
 * @returns false where they are missing and this client may not add them (Temporal Cloud), or where the namespace has one of another type:
 * Temporal would refuse every workflow task that sets it. Everything else works without
 */
export async function ensureSearchAttributes(client: Client): Promise<boolean> {
  const { operatorService } = client.connection as Connection
  const { namespace } = client.options
  try {
    const { customAttributes } = await operatorService.listSearchAttributes({ namespace })
    const there = customAttributes ?? {}
    // A type can't be changed.
    if (Object.entries(wanted).some(([name, type]) => name in there && there[name] !== type)) return false
    const missing = Object.entries(wanted).filter(([name]) => !(name in there))
    if (missing.length > 0)
      await operatorService.addSearchAttributes({ namespace, searchAttributes: Object.fromEntries(missing) })
    return true
  } catch {
    return false
  }
}
