/**
 * Tells a database that was emptied or set back from one that another owner has written to. Progress begins with ownership and before any
 * offset, so that a missing row is a lost one.
 */
export const setBack = `
alter table :schema.consumer_progress
  -- A random name: a database that was set back hands the same token out twice.
  add column owner text not null default '',
  add column identity text,
  add column witness text;
comment on column :schema.consumer_progress.identity is 'Names the incarnation of the stream that the position belongs to';
comment on column :schema.consumer_progress.witness is 'Tells the message before the position from another one that takes its place in the log';

-- Raises: TM001 where a newer owner has the partition, TM002 where progress is lost, set back, or another writer''s of the same token.
create function :schema.refuse_writer(g text, s text, p int, e bigint, b bigint, a int)
returns void language plpgsql as $$
begin
  perform from :schema.consumer_progress
    where "group" = g and stream = s and partition = p and (epoch, batch, attempt) > (e, b, a);
  if found then
    raise exception 'tidemark: %[%] of group % has a newer owner than %.%.%', s, p, g, e, b, a using errcode = 'TM001';
  end if;
  raise exception 'tidemark: progress of %[%] of group % is not that of its owner %.%.%', s, p, g, e, b, a using errcode = 'TM002';
end $$;

drop function :schema.advance_progress(text, text, int, bigint, bigint, int, bigint, bigint);
-- Moves the progress of a partition, or raises as refuse_writer does.
create function :schema.advance_progress(g text, s text, p int, e bigint, b bigint, a int, o text, from_position bigint, to_position bigint, w text)
returns void language plpgsql as $$
begin
  update :schema.consumer_progress
    set position = to_position, witness = w, updated_at = now()
    where "group" = g and stream = s and partition = p
      and epoch = e and batch = b and attempt = a and owner = o and position = from_position;
  if not found then
    perform :schema.refuse_writer(g, s, p, e, b, a);
  end if;
end $$;

drop function :schema.check_owner(text, text, int, bigint, bigint, int);
-- Raises as refuse_writer does where somebody else owns the partition. Changes and locks nothing.
create function :schema.check_owner(g text, s text, p int, e bigint, b bigint, a int, o text)
returns void language plpgsql as $$
begin
  perform from :schema.consumer_progress
    where "group" = g and stream = s and partition = p and epoch = e and batch = b and attempt = a and owner = o;
  if not found then
    perform :schema.refuse_writer(g, s, p, e, b, a);
  end if;
end $$;

alter table :schema.consumer_changes
  drop constraint consumer_changes_kind_check,
  add constraint consumer_changes_kind_check check (
    case
      when kind in ('reset', 'adopted', 'skipped', 'restored') then partition is not null and to_position is not null
      else kind in ('paused', 'resumed', 'stopped', 'restarted', 'resliced') and from_position is null and to_position is null
    end
  );

drop function :schema.change_offset(text, text, int, text, bigint, text, text, text, int, bigint, int);
-- Puts a position anywhere, and notes it: in a new replay, or in the one that is named. The row is locked first, so that the note tells
-- what was there. With an epoch and a replay, it does so only while the row has these, and returns nothing otherwise.
create function :schema.change_offset(g text, s text, p int, kind text, to_position bigint, by text, why text, which text,
  replay_above int, named_replay int, seen_epoch bigint, seen_replay int)
returns setof :schema.consumer_offsets language plpgsql as $$
declare
  before :schema.consumer_offsets;
begin
  select stored.* into before from :schema.consumer_offsets stored
    where stored."group" = g and stored.stream = s and stored.partition = p for update;
  if seen_epoch is not null and (before.epoch, before.replay) is distinct from (seen_epoch, seen_replay) then
    return;
  end if;
  insert into :schema.consumer_changes ("group", stream, partition, kind, from_position, to_position, by, why)
    values (g, s, p, kind, before.position, to_position, by, why);
  return query
    insert into :schema.consumer_offsets as stored ("group", stream, partition, "offset", epoch, replay, identity)
      values (g, s, p, to_position - 1, 1, coalesce(named_replay, replay_above + 1), which)
    on conflict ("group", stream, partition) do update set
      "offset" = excluded."offset", epoch = stored.epoch + 1,
      replay = case when named_replay is null then greatest(stored.replay, replay_above) + 1
        else greatest(stored.replay, named_replay) end,
      identity = coalesce(which, stored.identity), updated_at = now()
    returning stored.*;
end $$;
`
