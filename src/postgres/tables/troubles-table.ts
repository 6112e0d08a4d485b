/** What partitions can't get past. A row stays when the trouble is over: its token still keeps older writers out. */
export const troublesTable = `
create table :schema.consumer_troubles (
  "group" text not null,
  stream text not null,
  partition int not null,
  -- The fencing token of whoever wrote last.
  epoch bigint not null,
  batch bigint not null,
  attempt int not null,
  -- Null where nothing is in the way.
  trouble jsonb,
  updated_at timestamptz not null default now(),
  primary key ("group", stream, partition)
)
-- Updated with each failed try, and with each chunk while workers are lost at them.
with (fillfactor = 50);
comment on table :schema.consumer_troubles is 'Tidemark: the message that a partition can not get past, its tries, and what workers were lost at';
`
