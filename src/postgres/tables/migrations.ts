import { deadLetters } from './dead-letters.js'
import { deletedGroups } from './deleted-groups.js'
import { eventStreams } from './event-streams.js'
import { groupsTable } from './groups-table.js'
import { inboxTable } from './inbox-table.js'
import { letterChanges } from './letter-changes.js'
import { logServer } from './log-server.js'
import { offsetChanges } from './offset-changes.js'
import { offsetChangesIfSeen } from './offset-changes-if-seen.js'
import { partitionsTable } from './partitions-table.js'
import { raisedTokens } from './raised-tokens.js'
import { setBack } from './set-back.js'
import { troublesTable } from './troubles-table.js'

/** One step of the schema. Steps are never changed once released, only added. */
export interface Migration {
  readonly id: number
  readonly name: string
  /** True when code that does not know this step must not run on the result. */
  readonly breaking: boolean
  /** Statements; `:schema` stands for the quoted schema. */
  readonly sql: string
}

export const migrations: readonly Migration[] = [
  {
    id: 1,
    name: 'consumer offsets and progress',
    breaking: true,
    sql: `
create table :schema.consumer_offsets (
  "group" text not null,
  stream text not null,
  partition int not null,
  -- The last message that is done with: the position is one more. -1 before the first.
  "offset" bigint not null,
  position bigint generated always as ("offset" + 1) stored,
  epoch bigint not null,
  replay int not null default 0,
  metadata jsonb not null default '{}',
  updated_at timestamptz not null default now(),
  primary key ("group", stream, partition)
);
comment on table :schema.consumer_offsets is 'Tidemark: how far each consumer group has committed each partition';

create table :schema.consumer_progress (
  "group" text not null,
  stream text not null,
  partition int not null,
  position bigint not null,
  -- The fencing token of the partition''s owner.
  epoch bigint not null,
  batch bigint not null,
  attempt int not null,
  replay int not null default 0,
  updated_at timestamptz not null default now(),
  primary key ("group", stream, partition)
)
-- Updated with every chunk: room in each page keeps the new row version where the old one is.
with (fillfactor = 50);
comment on table :schema.consumer_progress is 'Tidemark: how far the handlers have come inside open batches, moved in the same transaction as their writes';

-- Moves the progress of a partition, or raises when somebody with a newer token owns it.
create function :schema.advance_progress(g text, s text, p int, e bigint, b bigint, a int, from_position bigint, to_position bigint)
returns void language plpgsql as $$
begin
  update :schema.consumer_progress
    set position = to_position, updated_at = now()
    where "group" = g and stream = s and partition = p
      and epoch = e and batch = b and attempt = a and position = from_position;
  if not found then
    raise exception 'tidemark: %[%] of group % has another owner than %.%.%', s, p, g, e, b, a using errcode = 'TM001';
  end if;
end $$;

-- Raises when somebody else owns the partition. Changes and locks nothing.
create function :schema.check_owner(g text, s text, p int, e bigint, b bigint, a int)
returns void language plpgsql as $$
begin
  perform from :schema.consumer_progress
    where "group" = g and stream = s and partition = p and epoch = e and batch = b and attempt = a;
  if not found then
    raise exception 'tidemark: %[%] of group % has another owner than %.%.%', s, p, g, e, b, a using errcode = 'TM001';
  end if;
end $$;
`,
  },
  {
    id: 2,
    name: 'event streams',
    breaking: false,
    sql: eventStreams,
  },
  {
    id: 3,
    name: 'offset changes',
    breaking: false,
    sql: offsetChanges,
  },
  {
    id: 4,
    name: 'inbox',
    breaking: false,
    sql: inboxTable,
  },
  {
    id: 5,
    name: 'partitions',
    breaking: false,
    sql: partitionsTable,
  },
  {
    id: 6,
    name: 'groups',
    // Code that does not know the records would work for a group that a person has stopped.
    breaking: true,
    sql: groupsTable,
  },
  {
    id: 7,
    name: 'raised tokens',
    // Code that does not know them is fenced off by them all the same.
    breaking: false,
    sql: raisedTokens,
  },
  {
    id: 8,
    name: 'offset changes if seen',
    // Older code calls a function that is gone.
    breaking: true,
    sql: offsetChangesIfSeen,
  },
  {
    id: 9,
    name: "the log's server",
    breaking: false,
    sql: logServer,
  },
  {
    id: 10,
    name: 'progress that was set back',
    // Older code calls functions that are gone.
    breaking: true,
    sql: setBack,
  },
  {
    id: 11,
    name: 'deleted groups',
    breaking: false,
    sql: deletedGroups,
  },
  {
    id: 12,
    name: 'troubles',
    breaking: false,
    sql: troublesTable,
  },
  {
    id: 13,
    name: 'dead letters',
    breaking: false,
    sql: deadLetters,
  },
  {
    id: 14,
    name: 'history of dead letters',
    breaking: false,
    sql: letterChanges,
  },
]
