import type { Client } from '@temporalio/client'
import type { ParsedConsumer } from '../config/parse.js'
import { names, type WakeCommand } from '../model/commands.js'
import { defaultSlices, groupWorkflowId, sliceOf, sliceWorkflowId } from '../model/partition.js'
import type { TestPlace, TestStream } from './messages.js'

type Streams = ReadonlyMap<string, TestStream>

/** Tells the groups that read them of messages, as a group's poll does where something polls. */
export async function announce(
  places: readonly TestPlace[],
  {
    client,
    consumers,
    streams,
  }: { readonly client: Client; readonly consumers: readonly ParsedConsumer[]; readonly streams: Streams },
): Promise<void> {
  const told = [...firstOfEach(places)].flatMap(({ stream, partition, offset }) =>
    consumers
      .filter(({ settings }) => settings.stream === stream)
      .map((consumer) => {
        const wake: WakeCommand = { partition, position: String(offset) }
        const { workflow } = client
        // One that does not run reads them when it starts.
        return workflow
          .getHandle(sliceOfPartition(consumer, streams, partition))
          .signal(names.wake, wake)
          .catch(() => {})
      }),
  )
  await Promise.all(told)
}

/** IDs of a group's workflows: its own first, and those of its slices. */
export function workflowsOf(consumer: ParsedConsumer, streams: Streams): string[] {
  const { group, stream } = consumer.settings
  const slices = streams.get(stream)!.log.partitions.map((partition) => sliceOfPartition(consumer, streams, partition))
  return [...new Set([groupWorkflowId(group, stream), ...slices])]
}

function sliceOfPartition({ settings }: ParsedConsumer, streams: Streams, partition: number): string {
  const { group, stream } = settings
  const slices = settings.slices ?? defaultSlices(streams.get(stream)!.log.partitions.length)
  return sliceWorkflowId({ group, stream }, sliceOf(partition, slices))
}

/** The first of the messages that a partition has got. */
function firstOfEach(places: readonly TestPlace[]): Iterable<TestPlace> {
  const first = new Map<string, TestPlace>()
  for (const place of places) {
    const name = `${place.stream}/${place.partition}`
    const known = first.get(name)
    if (!known || place.offset < known.offset) first.set(name, place)
  }
  return first.values()
}
