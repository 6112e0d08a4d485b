/** What people ask for dead letters is in the history, too. */
export const letterChanges = `
alter table :schema.consumer_changes
  drop constraint consumer_changes_kind_check,
  add constraint consumer_changes_kind_check check (
    case
      when kind in ('reset', 'adopted', 'skipped', 'restored') then partition is not null and to_position is not null
      else kind in ('paused', 'resumed', 'stopped', 'restarted', 'resliced', 'deleted', 'redriven', 'discarded', 'corrected', 'cancelled')
        and from_position is null and to_position is null
    end
  );
`
