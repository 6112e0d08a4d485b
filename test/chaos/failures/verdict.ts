import type { FailureGround } from './ground.js'
import { allowedLetters } from './natures.js'

/** What has become of all messages. */
export interface Verdict {
  readonly effects: number
  readonly letters: number
  /** Messages with neither an effect nor an open letter. */
  readonly lost: number
  /** Effects beyond the first of a message. */
  readonly duplicates: number
  /** Messages with an effect and an open letter. */
  readonly both: number
  /** Effects after one of a later message of the same key. */
  readonly disorder: number
  /** Letters that don't fit their message, the first ten of them in words. */
  readonly falseLetters: number
  readonly examples: readonly string[]
  /** Letters by nature and class. */
  readonly byNature: Readonly<Record<string, number>>
}

const open = 'tidemark.dead_letters l where l.stream = $1 and l.done_at is null'

/** Looks at all messages, when nothing moves any more. */
export async function verdictOn(ground: FailureGround): Promise<Verdict> {
  const of = [ground.topic]
  const [counts] = await ground.ask<Pick<Verdict, 'effects' | 'letters' | 'lost' | 'duplicates' | 'both'>>(
    `with l as materialized (select partition, "offset" as off from ${open}),
       e as materialized (select partition, off, count(*) n from effects group by partition, off)
     select (select sum(n) from e)::int effects, (select count(*) from l)::int letters,
       count(*) filter (where e.off is null and l.off is null)::int lost,
       coalesce(sum(e.n - 1), 0)::int duplicates, count(*) filter (where e.off is not null and l.off is not null)::int both
     from messages m left join e using (partition, off) left join l using (partition, off)`,
    of,
  )
  const [order] = await ground.ask<{ n: number }>(
    `select count(*)::int n from
       (select off, max(off) over (partition by key order by seq rows unbounded preceding) as furthest from effects) seen
     where off < furthest`,
  )
  const wrong = await ground.ask<{ text: string }>(
    `select format('%s at %s[%s]: %s letter, %s tries, %s', m.nature, m.partition, m.off, l.class, l.tries, l.error) as text
     from ${open.replace(' where', ' join messages m on m.partition = l.partition and m.off = l."offset" where')}
       and case when l.class = 'behind'
         then not exists (select from tidemark.dead_letters f where f.stream = l.stream and f.partition = l.partition and f.queue = l.queue
           and f."offset" < l."offset" and f.done_at is null and f.class <> 'behind')
         else not exists (select from unnest($2::text[], $3::text[], $4::text[]) a(nature, class, code)
           where a.nature = m.nature and a.class = l.class and a.code = l.code)
           -- Faults use up no try. A worker that is lost meanwhile counts beside those three.
           or m.nature in ('broken', 'late', 'hang') and l.tries < 3 end`,
    [...of, ...[0, 1, 2].map((index) => allowedLetters.map((allowed) => allowed[index]))],
  )
  const natures = await ground.ask<{ what: string; n: number }>(
    `select m.nature || ' ' || l.class as what, count(*)::int n
     from ${open.replace(' where', ' join messages m on m.partition = l.partition and m.off = l."offset" where')} group by 1 order by 1`,
    of,
  )
  return {
    ...counts!,
    disorder: order!.n,
    falseLetters: wrong.length,
    examples: wrong.slice(0, 10).map(({ text }) => text),
    byNature: Object.fromEntries(natures.map(({ what, n }) => [what, n])),
  }
}

/** How many things are wrong. */
export function wrongIn({ lost, duplicates, both, disorder, falseLetters }: Verdict): number {
  return lost + duplicates + both + disorder + falseLetters
}
