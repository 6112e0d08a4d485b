/**
 * Messages that were set aside. \`done_at\` tells whether a letter is done with: all indexes but the last one are about those that are not.
 *
 * Letters of a queue that are not \`leaving\` are all \`due\`, or all \`waiting\` until the same time, or all \`waiting\` for a person: whatever
 * changes one of them changes its queue. So a letter's own row says whether it may be handled.
 */
export const deadLetters = `
create table :schema.dead_letters (
  id bigint generated always as identity primary key,
  "group" text not null,
  stream text not null,
  partition int not null,
  "offset" bigint not null,
  replay int not null,
  -- A digest of the key. Null for a letter that keeps no order.
  queue text,
  state text not null check (state in ('waiting', 'due', 'leaving', 'redriven', 'discarded', 'skipped')),
  class text not null check (class in ('poison', 'undecodable', 'crash', 'later', 'behind')),
  code text,
  error text not null,
  tries int not null,
  -- Ms since 1970 by the clock of Temporal.
  first_at bigint,
  last_at bigint,
  due_at bigint,
  -- The message as it is in the log. Null once the letter is done with, and for a mere reference.
  key bytea,
  value bytea,
  -- JSON: [name, value in base64 or null], in their order. Text, since names may hold what json in Postgres can not.
  headers text,
  "timestamp" bigint not null,
  -- Of key and value.
  bytes bigint not null,
  reference boolean not null default false,
  corrected boolean not null default false,
  -- How often it came back and failed again.
  returns int not null default 0,
  -- What a person has asked for last.
  asked_by text,
  asked_reason text,
  per_second numeric,
  -- Grows with each change: an owner that has read an older version may not be done with the letter.
  version int not null default 1,
  at timestamptz not null default now(),
  done_at timestamptz,
  check ((done_at is null) = (state in ('waiting', 'due', 'leaving')))
);
create unique index dead_letters_open on :schema.dead_letters ("group", stream, partition, "offset") where done_at is null;
create index dead_letters_queue on :schema.dead_letters ("group", stream, partition, queue, "offset") where done_at is null and queue is not null;
create index dead_letters_due on :schema.dead_letters ("group", stream, partition, "offset") where state in ('due', 'leaving');
create index dead_letters_later on :schema.dead_letters ("group", stream, partition, due_at, "offset") where state = 'waiting' and due_at is not null;
create index dead_letters_done on :schema.dead_letters ("group", stream, done_at) where done_at is not null;
comment on table :schema.dead_letters is 'Tidemark: messages that were set aside. Change them with tidemark, not by hand';

-- Locked by whoever changes letters of a partition, before the letters: owners and people wait for each other, and never in a circle.
create table :schema.dead_letter_partitions (
  "group" text not null,
  stream text not null,
  partition int not null,
  -- Changes with each lock, so that a transaction above read committed fails where it would have read what was there before.
  locks bigint not null default 1,
  primary key ("group", stream, partition)
)
with (fillfactor = 50);
comment on table :schema.dead_letter_partitions is 'Tidemark: locks of partitions that have, or had, dead letters';

-- Bytes as text where they are text, and in hex otherwise.
create function :schema.readable(bytes bytea) returns text language plpgsql stable strict as $$
begin
  return pg_catalog.convert_from(bytes, 'UTF8');
exception when others then
  return pg_catalog.concat(pg_catalog.chr(92), 'x', pg_catalog.encode(bytes, 'hex'));
end $$;

-- Without any payload besides the key.
create view :schema.dead_letter_list as
  select id, "group", stream, partition, "offset", replay, :schema.readable(key) as key, state, class, code, error, tries,
    now() - at as age,
    to_timestamp(due_at / 1000.0) as due_at,
    -- Letters that wait behind this one. Null for those that came behind another one themselves.
    case when class <> 'behind' and done_at is null then (
      select count(*) from :schema.dead_letters follower
      where follower."group" = letter."group" and follower.stream = letter.stream
        and follower.partition = letter.partition and follower.queue = letter.queue
        and follower."offset" > letter."offset" and follower.done_at is null
    ) end as behind,
    asked_by, asked_reason, corrected, reference, bytes, at, done_at
  from :schema.dead_letters letter;
comment on view :schema.dead_letter_list is 'Tidemark: dead letters for people to look at, without their values';

create view :schema.dead_letter_contents as
  select id, "group", stream, partition, "offset", state, to_timestamp(nullif("timestamp", -1) / 1000.0) as written_at,
    :schema.readable(key) as key, :schema.readable(value) as value, headers
  from :schema.dead_letters letter where done_at is null and not reference;
comment on view :schema.dead_letter_contents is 'Tidemark: what is in dead letters';
`
