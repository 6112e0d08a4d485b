import { offsetOutOfRange } from '../../model/refusals.js'
import type { StartSpec } from '../../model/start.js'
import type { Bounds } from '../../ports/index.js'

/** Runs a statement that ends in `from :events and ...`; `$3` is the value. */
type Find = (statement: string, value: unknown) => Promise<bigint | null>

/**
 * What a start spec means in a partition. Events beyond `safe` count as still to come, although some are visible: one with a
 * lower position may yet appear, and starting beyond it would lose it.
 *
 * @throws TidemarkError OUT_OF_RANGE for an offset beyond the head
 */
export async function resolveStart(
  place: { stream: string; partition: number },
  start: StartSpec,
  { first, head }: Bounds,
  safe: bigint,
  find: Find,
): Promise<bigint> {
  const next = head > safe ? safe + 1n : head
  if (start === 'first') return first
  if (start === 'next') return next
  if (start === 'last')
    return (await find('select max(position) as position from :events and position <= $3', String(safe))) ?? next
  if ('offset' in start) {
    if (start.offset <= head) return start.offset
    throw offsetOutOfRange(place, start.offset, { first, head })
  }
  const found = await find(
    'select min(position) as position from :events and created_at >= to_timestamp($3::float8 / 1000)',
    start.timestamp,
  )
  return found !== null && found < next ? found : next
}
