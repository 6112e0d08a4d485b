import type { NewLetter } from '../../ports/index.js'
import { shownText } from '../../storing/shown-text.js'
import { headersText } from './rows.js'

/** What one statement writes at the most: text of several times the size is made of it here, and read there. */
const [bytesPerStatement, rowsPerStatement] = [4 * 1024 * 1024, 10_000]

/** Letters in parts of one statement each. */
export function partsOf(letters: readonly NewLetter[]): readonly (readonly NewLetter[])[] {
  const parts: NewLetter[][] = []
  let bytes = 0
  for (const letter of letters) {
    const size = bytesOf(letter)
    const part = parts.at(-1)
    if (part && bytes + size <= bytesPerStatement && part.length < rowsPerStatement) {
      part.push(letter)
      bytes += size
    } else {
      parts.push([letter])
      bytes = size
    }
  }
  return parts
}

/**
 * Parameters of `addStatement`, from $4 on: arrays without nulls, which are a text where array_nulls is off. Keys and values are empty, or
 * base64 behind `=`.
 */
export function columnsOf(letters: readonly NewLetter[]): readonly unknown[] {
  const heads = new Map<string, NewLetter>()
  for (const letter of letters)
    if (letter.queue !== null && letter.state === 'waiting' && !heads.has(letter.queue)) heads.set(letter.queue, letter)
  const rows = letters.map((letter) => {
    const { message, queue, state, code, error, tries, firstAt, lastAt, reference = false } = letter
    const hasContent = state === 'waiting' && !reference
    // What comes behind a letter waits as long as that one.
    const head = queue === null ? letter : (heads.get(queue) ?? letter)
    return [
      String(message.offset),
      letter.replay,
      queue ?? '',
      state === 'skipped',
      letter.class,
      code === null ? '' : shownText(code),
      shownText(error),
      tries,
      orEmpty(firstAt),
      orEmpty(lastAt),
      orEmpty(state === 'skipped' ? null : head.dueAt),
      hasContent ? base64(message.key) : '',
      hasContent ? base64(message.value) : '',
      hasContent ? headersText(message) : '',
      message.timestamp,
      (message.key?.length ?? 0) + (message.value?.length ?? 0),
      reference,
    ]
  })
  return [...rows[0]!.map((_, column) => rows.map((row) => row[column])), [...heads.keys()]]
}

/**
 * A letter joins the state of its queue: while a person's redrive or discarding is under way, it is handled behind the others. A letter that
 * is there already stays as it is, unless it is to be discarded and has come again in a newer replay.
 *
 * $1 to $3 are the partition; `columnsOf` gives the others.
 */
export function addStatement(letters: string): string {
  const theirs = `${letters} l where l."group" = $1 and l.stream = $2 and l.partition = $3::int and l.done_at is null`
  return `
    with queues as materialized (
      select asked.queue, last.state, last.due_at, last.asked_by, last.asked_reason, last.per_second,
        exists (select from ${theirs} and l.queue = asked.queue) as held
      from unnest($21::text[]) as asked (queue)
      left join lateral (
        select l.* from ${theirs} and l.queue = asked.queue and l.state <> 'leaving' order by l."offset" desc limit 1
      ) last on true
    )
    insert into ${letters} as l ("group", stream, partition, "offset", replay, queue, state, done_at, class, code, error, tries, first_at, last_at,
        due_at, key, value, headers, "timestamp", bytes, reference, asked_by, asked_reason, per_second)
      select $1, $2, $3::int, m.off, m.replay, nullif(m.queue, ''),
        case when m.skipped then 'skipped' when held and coalesce(q.state, 'due') = 'due' then 'due' else 'waiting' end,
        case when m.skipped then now() end,
        m.class, nullif(m.code, ''), m.error, m.tries, nullif(m.first_at, '')::bigint, nullif(m.last_at, '')::bigint,
        case when held then q.due_at else nullif(m.due_at, '')::bigint end,
        decode(substr(nullif(m.key, ''), 2), 'base64'), decode(substr(nullif(m.value, ''), 2), 'base64'), nullif(m.headers, ''),
        m.written, m.bytes, m.reference,
        case when q.state = 'due' then q.asked_by end, case when q.state = 'due' then q.asked_reason end,
        case when q.state = 'due' then q.per_second end
      from unnest($4::bigint[], $5::int[], $6::text[], $7::bool[], $8::text[], $9::text[], $10::text[], $11::int[], $12::text[], $13::text[],
          $14::text[], $15::text[], $16::text[], $17::text[], $18::bigint[], $19::bigint[], $20::bool[]) with ordinality
        as m (off, replay, queue, skipped, class, code, error, tries, first_at, last_at, due_at, key, value, headers, written, bytes, reference, n)
      left join queues q on q.queue = m.queue and not m.skipped
      where not (m.skipped and exists (select from ${theirs} and l."offset" = m.off))
      order by m.n
    on conflict ("group", stream, partition, "offset") where done_at is null do update set
      (replay, queue, state, class, code, error, tries, first_at, last_at, due_at, key, value, headers, "timestamp", bytes, reference, asked_by,
        asked_reason, per_second, corrected, returns, at, version) =
      (excluded.replay, excluded.queue, excluded.state, excluded.class, excluded.code, excluded.error, excluded.tries, excluded.first_at,
        excluded.last_at, excluded.due_at, excluded.key, excluded.value, excluded.headers, excluded."timestamp", excluded.bytes,
        excluded.reference, excluded.asked_by, excluded.asked_reason, excluded.per_second, false, 0, now(), l.version + 1)
      where l.state = 'leaving' and l.replay < excluded.replay`
}

function bytesOf({ message: { key, value, headers } }: NewLetter): number {
  const ofHeaders = headers.reduce((sum, [name, one]) => sum + name.length + (one?.length ?? 0), 0)
  return (key?.length ?? 0) + (value?.length ?? 0) + ofHeaders
}

function base64(bytes: Buffer | null): string {
  return bytes ? `=${bytes.toString('base64')}` : ''
}

function orEmpty(ms: number | null | undefined): string {
  return ms === null || ms === undefined ? '' : String(ms)
}
