/** Tokens that fence off older writers before the new one claims. */
export const raisedTokens = `
alter table :schema.consumer_progress add column raised boolean not null default false;
comment on column :schema.consumer_progress.raised is
  'Tidemark: older writers are fenced off, and the owner of the token has not claimed yet. No position is known where replay is -1';
`
