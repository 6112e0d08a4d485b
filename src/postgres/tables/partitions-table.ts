/** What a store would forget that keeps positions with the streams themselves: a stream takes them along when it is deleted. */
export const partitionsTable = `
create table :schema.consumer_partitions (
  "group" text not null,
  stream text not null,
  partition int not null,
  position bigint not null,
  epoch bigint not null,
  replay int not null,
  identity text,
  primary key ("group", stream, partition)
);
comment on table :schema.consumer_partitions is 'Tidemark: partitions whose offsets are kept elsewhere, as they were when they were last opened or reset';
`
