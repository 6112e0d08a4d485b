/** Tells a server from the one that takes its place: after a fail-over, a restore, or a restart with an older state. */
export const logServer = `
create function :schema.log_server() returns text language sql stable as $$
  select extract(epoch from pg_postmaster_start_time()) || ' ' || ':schema.events'::regclass::oid
$$;
comment on function :schema.log_server() is
  'Tidemark: names the running server and the table; positions that another server has taken are not known to this one';
`
