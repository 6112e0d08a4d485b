import { contentColumns, letterColumns } from './rows.js'

/* Statements of a partition's owner. $1 to $3 are the partition. */

const of = (alias: string) => `${alias}."group" = $1 and ${alias}.stream = $2 and ${alias}.partition = $3::int`

/**
 * Letters to be handled at $4, at most $5 of them, and no more than fit into $6 bytes besides the first one. A queue's letters share state
 * and time, so that the first ones by time and offset have no gap.
 */
export function dueStatement(letters: string): string {
  const columns = 'l.id, l."offset", l.bytes'
  return `
    with found as materialized (
      (select ${columns} from ${letters} l where ${of('l')} and l.state in ('due', 'leaving') order by l."offset" limit $5)
      union all
      (select ${columns} from ${letters} l where ${of('l')} and l.state = 'waiting' and l.due_at <= $4::bigint
        order by l.due_at, l."offset" limit $5)
    ), fitting as (
      select id, sum(bytes) over (order by "offset") - bytes as before from found order by "offset" limit $5
    )
    select ${letterColumns}, ${contentColumns}, per_second::text
    from ${letters} join fitting using (id) where before = 0 or before + bytes <= $6::bigint order by "offset"`
}

/**
 * Ends letters: ids in $4, their versions in $5, where 0 stands for any. Returns how many were as expected, and the queues that hold no other
 * letter. All as text: the handler's program may have the driver read other types in its own way.
 */
export function doneStatement(letters: string): string {
  return `
    with gone as materialized (
      update ${letters} l set state = case when l.state = 'leaving' then 'discarded' else 'redriven' end, done_at = now(),
        key = null, value = null, headers = null, due_at = null, version = l.version + 1
      from unnest($4::bigint[], $5::int[]) as asked (id, version)
      where l.id = asked.id and ${of('l')} and l.done_at is null and (l.state <> 'waiting' or l.due_at is not null)
        and asked.version in (0, l.version)
      returning l.id, l.queue
    )
    select (select count(*) from gone)::text as done, (
      select coalesce(json_agg(queue), '[]') from (select distinct queue from gone where queue is not null) named
      where not exists (
        select from ${letters} l where ${of('l')} and l.queue = named.queue and l.done_at is null
          and not exists (select from gone where gone.id = l.id)
      )
    )::text as emptied`
}

/** Puts letter $4, of version $5, and its queue back to wait, until $6 where that is not null. What is to be discarded still is. */
export function failedStatement(letters: string): string {
  return `
    with failed as materialized (
      select l.id, l.queue from ${letters} l
      where l.id = $4::bigint and ${of('l')} and l.done_at is null and $5::int in (0, l.version)
    ), back as materialized (
      select id from failed
      union
      select l.id from failed join ${letters} l on ${of('l')} and l.queue = failed.queue and l.done_at is null and l.state <> 'leaving'
    )
    update ${letters} l set
      state = case when l.state = 'leaving' then l.state else 'waiting' end,
      due_at = case when l.state = 'leaving' then null else $6::bigint end,
      per_second = null, version = l.version + 1, returns = l.returns + case when l.id = $4 then 1 else 0 end,
      class = case when l.id = $4 then $7 else l.class end,
      code = case when l.id = $4 then $8 else l.code end,
      error = case when l.id = $4 then $9 else l.error end,
      tries = l.tries + case when l.id = $4 then $10::int else 0 end,
      first_at = case when l.id = $4 then coalesce(l.first_at, $11::bigint) else l.first_at end,
      last_at = case when l.id = $4 then $12::bigint else l.last_at end
    from back where l.id = back.id`
}
