import type { Enrolled, EnrollInput, NoteInput, Pauses } from '../src/model/batch.js'
import { defaultSlices, partitionsNamed, ranges } from '../src/model/partition.js'
import type { GroupRecord, Pause } from '../src/ports/index.js'
import { stopText } from '../src/ports/stop-text.js'
import { reporting } from './failure.js'
import { heartbeatingIfLong } from './heartbeat.js'
import type { ConsumerRuntime } from './runtime.js'

/**
 * Reads the group's record, which is created when the group starts for the first time, and finds the partitions that the stream has gained.
 * Those are added to the record later, by a note, once their slices know that they are new.
 * The record outlives Temporal's data: pauses, slices, and which partitions are not new.
 */
export function createEnroll({ source, records, settings, errors }: ConsumerRuntime) {
  return ({ name, slices }: EnrollInput): Promise<Enrolled> =>
    reporting(errors, () =>
      heartbeatingIfLong(settings.heartbeatTimeoutMs, async () => {
        const partitions = await source.partitions()
        const initial = { slices: slices ?? defaultSlices(partitions.length), partitions }
        const record = await records.ensure(name, initial)
        const added = partitions.filter((partition) => !record.partitions.includes(partition))
        return {
          slices: record.slices,
          generation: record.generation,
          partitions,
          added,
          pauses: pausesOf(record),
          stopped: stopText(record),
        }
      }),
    )
}

/** Writes a decision to the group's record. Repeating it changes nothing. */
export function createNote({ source, records, settings, errors, log }: ConsumerRuntime) {
  return ({ name, what, by, reason, partitions }: NoteInput): Promise<Pauses> =>
    reporting(errors, () =>
      heartbeatingIfLong(settings.heartbeatTimeoutMs, async () => {
        // The record may have been lost with its database.
        const there = (await records.read(name))?.partitions ?? (await source.partitions())
        await records.ensure(name, { slices: settings.slices ?? defaultSlices(there.length), partitions: there })
        const request = { by, why: reason, ...(partitions ? { partitions } : {}) }
        const written = () => {
          if (what === 'added') return records.addPartitions(name, partitions ?? there)
          if (what === 'stopped') return records.stop(name, { by, why: reason, how: 'cancelled' })
          return what === 'paused' ? records.pause(name, request) : records.unpause(name, request)
        }
        const record = await written()
        const of = partitions ? partitionsNamed(partitions) : 'all partitions'
        const who = what === 'added' ? '' : ` by ${by}${reason && `: ${reason}`}`
        log.info({ ...name, ...(partitions && { partitions: ranges(partitions) }), by, reason }, `${what}: ${of}${who}`)
        return pausesOf(record)
      }),
    )
}

/** The pauses of a record, as workflows know them. */
export function pausesOf({ paused }: Pick<GroupRecord, 'paused'>): Pauses {
  const noteOf = ({ by, why, at }: Pause) => ({ by, reason: why, since: at.toISOString() })
  return {
    group: paused.group && noteOf(paused.group),
    partitions: [...paused.partitions].map(([partition, pause]) => ({ partition, ...noteOf(pause) })),
  }
}
