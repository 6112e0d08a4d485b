/** What groups remember, and their changes in the history. */
export const groupsTable = `
create table :schema.consumer_groups (
  "group" text not null,
  stream text not null,
  slices int not null check (slices > 0),
  generation int not null check (generation > 0),
  partitions int4multirange not null,
  -- {"at", "by", "why", "how": "cancelled" | "terminated"}
  stopped jsonb,
  -- {"at", "by", "why"}
  paused jsonb,
  -- {"PARTITION": {"at", "by", "why"}}
  paused_partitions jsonb not null default '{}',
  -- Grows with every change. A writer names the version that it has read, and a statement with an older one changes nothing.
  version int not null default 1,
  updated_at timestamptz not null default now(),
  primary key ("group", stream)
);
comment on table :schema.consumer_groups is 'Tidemark: what each consumer group remembers: slices, known partitions, who stopped or paused it';

alter table :schema.consumer_changes
  alter column partition drop not null,
  alter column to_position drop not null,
  drop constraint consumer_changes_kind_check,
  add constraint consumer_changes_kind_check check (
    case
      when kind in ('reset', 'adopted', 'skipped') then partition is not null and to_position is not null
      else kind in ('paused', 'resumed', 'stopped', 'restarted', 'resliced') and from_position is null and to_position is null
    end
  );
comment on table :schema.consumer_changes is 'Tidemark: what was done to groups and their positions, by whom and why';
comment on column :schema.consumer_changes.partition is 'Tidemark: null: the whole group';
`
