/** Changes of positions that know what was there, and what handlers' progress knows. */
export const offsetChangesIfSeen = `
drop function :schema.change_offset(text, text, int, text, bigint, text, text, text);

-- Puts a position anywhere as a new replay, and notes it. The row is locked first, so that the note tells what was there. With an
-- epoch and a replay, it does so only while the row has these, and returns nothing otherwise.
create function :schema.change_offset(g text, s text, p int, kind text, to_position bigint, by text, why text, which text,
  replay_above int, seen_epoch bigint, seen_replay int)
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
      values (g, s, p, to_position - 1, 1, replay_above + 1, which)
    on conflict ("group", stream, partition) do update set
      "offset" = excluded."offset", epoch = stored.epoch + 1, replay = greatest(stored.replay, replay_above) + 1,
      identity = coalesce(which, stored.identity), updated_at = now()
    returning stored.*;
end $$;
`
