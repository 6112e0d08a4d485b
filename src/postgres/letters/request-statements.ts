import type { LetterCondition } from './filter.js'

/* Statements of people. The parameters of a condition come first. */

const keys = '"group", stream, partition'

/** Partitions of letters that are meant. */
export function meantPartitions(letters: string, { where }: LetterCondition): string {
  return `select distinct ${keys} from ${letters} where ${where} and done_at is null`
}

/**
 * Letters that are meant, in partitions that are locked by now; their queues; and what would be the first letters of queues whose
 * first ones are meant.
 */
function meant(letters: string, { where, values }: LetterCondition): string {
  const [groups, streams, partitions] = [1, 2, 3].map((n) => `$${values.length + n}`)
  return `
    meant as materialized (
      select id, ${keys}, queue, "offset" from ${letters}
      join unnest(${groups}::text[], ${streams}::text[], ${partitions}::int[]) as locked (${keys}) using (${keys})
      where ${where} and done_at is null
    ), queues as materialized (
      select ${keys}, queue, min("offset") as first from meant where queue is not null group by ${keys}, queue
    )`
}

const inQueue = `l."group" = q."group" and l.stream = q.stream and l.partition = q.partition and l.queue = q.queue and l.done_at is null`

/** Letters that stay in queues whose first letter goes. */
function followers(letters: string): string {
  return `
    select l.id, l.state, l.${keys.replaceAll(', ', ', l.')}, l.queue, l."offset" from queues q
    join ${letters} l on ${inQueue} and l.state <> 'leaving'
    where not exists (select from meant where meant.id = l.id)
      and not exists (select from ${letters} l where ${inQueue} and l.state <> 'leaving' and l."offset" < q.first)`
}

/** How many letters would be left behind with nobody to handle them, and the first of them. */
export function strandedStatement(letters: string, condition: LetterCondition): string {
  return `
    with ${meant(letters, condition)}, stranded as (${followers(letters)})
    select count(*) as letters, count(distinct (${keys}, queue)) as queues,
      (select json_build_object('group', "group", 'stream', stream, 'partition', partition, 'offset', "offset"::text)
        from stranded where state = 'waiting' order by ${keys}, "offset" limit 1) as first
    from stranded where state = 'waiting'`
}

const affected = {
  redrive: (letters: string) => `
    select id, 'due' as next from meant
    union select l.id, 'due' from queues q join ${letters} l on ${inQueue} and l.state <> 'leaving'`,
  now: (letters: string) => `
    select l.id, 'due' as next from meant join ${letters} l using (id) where l.state = 'waiting' and l.due_at is not null
    union select l.id, 'due' from queues q join ${letters} l on ${inQueue} and l.state = 'waiting' and l.due_at is not null`,
  cancel: (letters: string) => `
    select l.id, 'waiting' as next from meant join ${letters} l using (id) where l.state <> 'waiting' or l.due_at is not null
    union select l.id, 'waiting' from queues q join ${letters} l on ${inQueue} and l.state <> 'leaving' and (l.state <> 'waiting' or l.due_at is not null)`,
  discard: () => `select id, 'leaving' as next from meant`,
  discardAndRedrive: (letters: string) => `
    select id, 'leaving' as next from meant union select id, 'due' from (${followers(letters)}) f where state = 'waiting'`,
  discardAll: (letters: string) => `
    select id, 'leaving' as next from meant union select id, 'leaving' from (${followers(letters)}) f`,
}

/** What a request would change. After the condition: the partitions. */
export function dryRunStatement(letters: string, condition: LetterCondition, what: keyof typeof affected): string {
  return `
    with ${meant(letters, condition)}, affected as materialized (${affected[what](letters)}), changed as (
      select l."group", l.stream, l.partition, l.queue, l.class from ${letters} l join affected using (id)
    )
    ${whatChanged}`
}

/** Changes what is meant. After the condition and the locked partitions: who asks, why, and letters a second or null. */
export function requestStatement(letters: string, condition: LetterCondition, what: keyof typeof affected): string {
  const [by, reason, perSecond] = [4, 5, 6].map((n) => `$${condition.values.length + n}`)
  return `
    with ${meant(letters, condition)}, affected as materialized (${affected[what](letters)}), changed as (
      update ${letters} l set state = affected.next, due_at = null, asked_by = ${by}, asked_reason = ${reason},
        per_second = case when affected.next = 'due' then ${perSecond}::numeric end, version = l.version + 1
      from affected where l.id = affected.id
      returning l."group", l.stream, l.partition, l.queue, l.class
    )
    ${whatChanged}`
}

/** What `LetterCount` holds, of the rows of `from`. Bigints are text; a sum of nothing is null. */
export function countStatement(from: string): string {
  return `
    select coalesce(sum(n), 0) as letters, count(queue) as queues, count(distinct (${keys})) as partitions, coalesce(sum(followers), 0) as behind
    from (
      select ${keys}, queue, count(*) as n, count(*) filter (where class = 'behind') as followers from ${from} group by ${keys}, queue
    ) one`
}

const whatChanged = `
    select *, (
      select coalesce(json_agg(owner), '[]') from (select distinct ${keys} from changed order by ${keys}) owner
    ) as owners from (${countStatement('changed')}) counted`
