/**
 * Tables of the event streams, and what makes reading them in order safe. Why it is done this way:
 * docs/decisions/0002-postgres-stream-order.md.
 *
 * `pg_sequence_last_value` and not `select last_value`: nextval() puts a value 32 ahead into the sequence's page for the
 * moment in which it writes its log record, and a select, which takes no lock on the page, can see it.
 */
export const eventStreams = `
create table :schema.streams (
  stream text primary key check (length(stream) between 1 and 249),
  partitions int not null check (partitions > 0),
  -- NOTIFY lets one transaction commit at a time; without it readers learn of events by polling.
  notify boolean not null default true,
  created_at timestamptz not null default now()
);
comment on table :schema.streams is 'Tidemark: event streams and the number of their partitions';

create table :schema.events (
  position bigint not null generated always as identity (sequence name :schema.events_position_seq cache 1),
  stream text not null,
  partition int not null check (partition >= 0),
  key text,
  type text,
  data jsonb not null,
  -- {"name": "value"}; null and arrays of values are allowed, too.
  headers jsonb,
  created_at timestamptz not null default clock_timestamp(),
  primary key (stream, partition, position)
);
comment on table :schema.events is 'Tidemark: the events of all streams; a consumer reads a partition in the order of position';

-- The first 32 bits of md5(key), as an unsigned number, modulo the number of partitions. An event without a key goes anywhere.
create function :schema.partition_of(key text, partitions int) returns int language sql volatile parallel safe as $$
  select case
    when key is null then floor(random() * partitions)::int
    else (('x' || substr(md5(key), 1, 8))::bit(32)::bigint & 4294967295) % partitions
  end::int
$$;

-- Before a transaction takes its first position it publishes a lower bound of all it will take: the last one taken by
-- anybody. It stays published, as an advisory lock, until the transaction's rows are visible or gone. Rolling back to a
-- savepoint undoes lock and setting together.
create function :schema.announce_append() returns trigger language plpgsql
security definer set search_path = pg_catalog, pg_temp as $$
declare
  announced text := 'tidemark.append_' || tg_relid;
  me text := pg_current_xact_id();
begin
  if current_setting(announced, true) is distinct from me then
    perform pg_advisory_xact_lock_shared(
      hashtext('tidemark append ' || tg_relid),
      coalesce(pg_sequence_last_value(':schema.events_position_seq'), 0)::bit(32)::int);
    perform set_config(announced, me, true);
  end if;
  return null;
end $$;

create trigger announce_append before insert on :schema.events
  for each statement execute function :schema.announce_append();
alter table :schema.events enable always trigger announce_append;

create function :schema.notify_append() returns trigger language plpgsql
security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform pg_notify('tidemark_' || tg_relid, s.stream)
    from :schema.streams s where s.notify and s.stream in (select a.stream from appended a);
  return null;
end $$;

create trigger notify_append after insert on :schema.events
  referencing new table as appended for each statement execute function :schema.notify_append();

-- Up to \`safe\` nothing can become visible any more that a later statement does not see. \`taken\` is the last position that
-- anybody took. The order of the two look-ups matters: who announces after the second one takes positions beyond \`taken\`.
create function :schema.safe_position(out safe bigint, out taken bigint) language plpgsql volatile
security definer set search_path = pg_catalog, pg_temp as $$
begin
  if pg_is_in_recovery() then
    raise exception 'tidemark: event streams can be read from the primary only, this server is a replica' using errcode = 'TM002';
  end if;
  taken := coalesce(pg_sequence_last_value(':schema.events_position_seq'), 0);
  -- A lock has room for 32 bits of the announced position. One that seems 2^32 - 2^20 or more behind is ahead instead.
  select taken - coalesce(max(behind), 0) into safe
    from (
      select (taken - objid::bigint) & 4294967295 as behind from pg_locks
        where locktype = 'advisory' and objsubid = 2 and granted
          and database = (select oid from pg_database where datname = current_database())
          and classid = hashtext('tidemark append ' || ':schema.events'::regclass::oid)::oid
    ) announced
    where behind < 4293918720;
end $$;
`
