const fields: ReadonlySet<string> = new Set(['key', 'type', 'value', 'headers'])

/** What is wrong with an event by its form: the field, or none where it is the event itself. Null where nothing is. */
export function problemOfForm(event: unknown): { readonly field?: string; readonly why: string } | null {
  if (typeof event !== 'object' || event === null || Array.isArray(event))
    return { why: `must be an event like { key, value }, not ${kindOf(event)}` }
  for (const name in event)
    if (!fields.has(name)) return { field: name, why: 'is no field of an event; there are key, type, value, headers' }
  const { key, type, headers } = event as Readonly<Record<string, unknown>>
  for (const [field, text] of [
    ['key', key],
    ['type', type],
  ] as const)
    if (text !== undefined && text !== null && typeof text !== 'string')
      return { field, why: `must be text, not ${kindOf(text)}` }
  return problemOfHeaders(headers)
}

function problemOfHeaders(headers: unknown): { readonly field: string; readonly why: string } | null {
  if (headers === undefined || headers === null) return null
  if (typeof headers !== 'object' || Array.isArray(headers))
    return { field: 'headers', why: 'must be an object of texts by name' }
  for (const [name, text] of Object.entries(headers))
    if (typeof text !== 'string' && text !== null)
      return { field: `headers.${name}`, why: `must be text or null, not ${kindOf(text)}` }
  return null
}

/** The value as JSON, or what is wrong with it: JSON would put null in the place of NaN, and knows no BigInt. */
export function asJson(value: unknown): { readonly json: string } | { readonly why: string } {
  try {
    const json = value === undefined ? undefined : JSON.stringify(value)
    if (json === undefined) return { why: 'must be something that JSON can say' }
    // Looking at all numbers takes time, and a null is seen in the text.
    if (json.includes('null')) JSON.stringify(value, refuseLost)
    return { json }
  } catch (error) {
    return { why: `must be something that JSON can say: ${error instanceof Error ? error.message : String(error)}` }
  }
}

function refuseLost(name: string, value: unknown): unknown {
  if (typeof value === 'number' && !Number.isFinite(value)) throw new Error(`${name || 'it'} is ${value}`)
  return value
}

/** Never the thing itself, which is a part of a message. */
function kindOf(value: unknown): string {
  if (value === null || value === undefined) return String(value)
  return Array.isArray(value) ? 'a list' : typeof value === 'object' ? 'an object' : `a ${typeof value}`
}
