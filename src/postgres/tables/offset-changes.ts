/** What people and policies do to positions, and the incarnation of the stream that a position belongs to. */
export const offsetChanges = `
alter table :schema.consumer_offsets add column identity text;
comment on column :schema.consumer_offsets.identity is 'Names the incarnation of the stream: another one after it was deleted and created again';

create table :schema.consumer_changes (
  id bigint generated always as identity primary key,
  "group" text not null,
  stream text not null,
  partition int not null,
  kind text not null check (kind in ('reset', 'adopted', 'skipped')),
  -- Null where nothing was stored before.
  from_position bigint,
  to_position bigint not null,
  by text not null,
  why text not null,
  at timestamptz not null default now()
);
create index on :schema.consumer_changes ("group", stream, partition, id desc);
comment on table :schema.consumer_changes is 'Tidemark: positions that were put somewhere else, by whom and why';

-- Puts a position anywhere as a new replay, and notes it. The row is locked first, so that the note tells what was there.
create function :schema.change_offset(g text, s text, p int, kind text, to_position bigint, by text, why text, which text)
returns setof :schema.consumer_offsets language plpgsql as $$
declare
  before bigint;
begin
  select stored.position into before from :schema.consumer_offsets stored
    where stored."group" = g and stored.stream = s and stored.partition = p for update;
  insert into :schema.consumer_changes ("group", stream, partition, kind, from_position, to_position, by, why)
    values (g, s, p, kind, before, to_position, by, why);
  return query
    insert into :schema.consumer_offsets as stored ("group", stream, partition, "offset", epoch, replay, identity)
      values (g, s, p, to_position - 1, 1, 1, which)
    on conflict ("group", stream, partition) do update set
      "offset" = excluded."offset", epoch = stored.epoch + 1, replay = stored.replay + 1,
      identity = coalesce(which, stored.identity), updated_at = now()
    returning stored.*;
end $$;
`
