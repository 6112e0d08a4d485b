/**
 * What consumers with \`dedupe\` have seen. A row is written for each message, so it is as narrow as it can be: one hash stands for
 * group, stream and key, and people look for a key's row by the same hash.
 *
 * The index on \`expires_at\` costs 7 bytes a row, because all rows of a transaction share one entry, and a fifth of the time of an
 * insert. BRIN costs neither, but only at first: new rows go where old ones were deleted, and its ranges never get narrower.
 */
export const inboxTable = `
create table :schema.consumer_inbox (
  -- The first 16 bytes of sha256('["GROUP","STREAM"]' || key).
  key uuid primary key,
  -- The message that brought it.
  partition int not null,
  replay int not null,
  "offset" bigint not null,
  expires_at timestamptz not null
);
create index on :schema.consumer_inbox (expires_at);
comment on table :schema.consumer_inbox is 'Tidemark: keys that consumers with dedupe have handled, written in the transaction of the handler';

-- A reset makes a partition handle again what it handled from there on: keys that came in before stay.
alter table :schema.consumer_progress add column replay_from bigint;
comment on column :schema.consumer_progress.replay_from is 'Tidemark: where the replay began';
`
