/** A group that a person has deleted stays in the history. */
export const deletedGroups = `
alter table :schema.consumer_changes
  drop constraint consumer_changes_kind_check,
  add constraint consumer_changes_kind_check check (
    case
      when kind in ('reset', 'adopted', 'skipped', 'restored') then partition is not null and to_position is not null
      else kind in ('paused', 'resumed', 'stopped', 'restarted', 'resliced', 'deleted')
        and from_position is null and to_position is null
    end
  );
`
