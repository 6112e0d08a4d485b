/**
 * Takes the locks of partitions, given as arrays in $1 to $3, until the transaction ends. Whoever changes letters takes these first: an
 * owner that of its partition, people those of all partitions they mean, in order. So nobody waits in a circle, and what is read
 * behind the lock does not change.
 */
export function lockStatement(partitions: string): string {
  return `
    insert into ${partitions} as stored ("group", stream, partition)
      select "group", stream, partition from unnest($1::text[], $2::text[], $3::int[]) as asked ("group", stream, partition)
      order by "group", stream, partition
    on conflict ("group", stream, partition) do update set locks = stored.locks + 1`
}
