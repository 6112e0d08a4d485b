import pg from 'pg'

/** Quoted names of what a schema holds for event streams. */
export interface Tables {
  readonly streams: string
  readonly events: string
  readonly partitionOf: string
  readonly safePosition: string
}

export function tablesIn(schema: string): Tables {
  const quoted = pg.escapeIdentifier(schema)
  return {
    streams: `${quoted}.streams`,
    events: `${quoted}.events`,
    partitionOf: `${quoted}.partition_of`,
    safePosition: `${quoted}.safe_position`,
  }
}
