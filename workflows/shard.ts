import { condition, continueAsNew, defineSignal, setHandler, workflowInfo } from '@temporalio/workflow'
import { names, type ShardOrder } from '../src/model/commands.js'
import { Fleet } from './fleet.js'

/** The group's hands for up to 500 partitions, so that a large group's commands do not fill one history. */
export async function groupShard(input: { readonly orders: readonly ShardOrder[] }): Promise<void> {
  const orders = [...input.orders]
  setHandler(defineSignal<[ShardOrder]>('order'), (order) => void orders.push(order))
  while (!workflowInfo().continueAsNewSuggested) {
    await condition(() => orders.length > 0 || workflowInfo().continueAsNewSuggested)
    const order = orders.shift()
    if (order) await carryOut(order)
    // Said once, at the end of a bounded run.
    if (order?.signal === names.finish && orders.length === 0) return
  }
  await continueAsNew<typeof groupShard>({ orders })
}

async function carryOut(order: ShardOrder): Promise<void> {
  const fleet = new Fleet(order.group, order.stream, order.searchAttributes, order.shard)
  if (order.start && order.revision) {
    const states = new Map(order.start.map(({ partition, state }) => [partition, state]))
    const added = order.start.filter((one) => one.added).map(({ partition }) => partition)
    await fleet.start([...states.keys()], order.revision, (partition) => states.get(partition)!, added)
  }
  if (order.tell && order.signal)
    await fleet.tell(order.tell, defineSignal<unknown[]>(order.signal), [...(order.args ?? [])])
}
