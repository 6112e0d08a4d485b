import { describe, expect, it } from 'vitest'
import { countedBetween, parseActionCounts } from '../../bench/action-counts.js'
import { computedActions, situations } from '../../bench/situations.js'

const metrics = `# HELP action action counter
# TYPE action counter
action{action_type="command_ScheduleActivityTask",namespace="default",operation="RespondWorkflowTaskCompleted",service_name="frontend"} 116
action{action_type="grpc_RecordActivityTaskHeartbeat",namespace="default",operation="RecordActivityTaskHeartbeat",service_name="frontend"} 90
action{action_type="grpc_RecordActivityTaskHeartbeat",namespace="default",operation="RecordActivityTaskHeartbeatById",service_name="frontend"} 2
action{action_type="grpc_StartWorkflowExecution",namespace="temporal_system",operation="StartWorkflowExecution",service_name="frontend"} 2
action_latency{action_type="grpc_QueryWorkflow",namespace="default"} 7
`

describe('the counts of billable actions', () => {
  it("are those of the namespace, and not of Temporal's own", () => {
    expect(parseActionCounts(metrics, 'default')).toEqual({
      command_ScheduleActivityTask: 116,
      grpc_RecordActivityTaskHeartbeat: 92,
    })
  })

  it('are empty before the first action', () => {
    expect(parseActionCounts('# TYPE action counter\n', 'default')).toEqual({})
  })

  it('are told apart from those of earlier measurements', () => {
    const before = { heartbeats: 90, queries: 3 }
    expect(countedBetween(before, { heartbeats: 98, queries: 3, signals: 1 })).toEqual({ heartbeats: 8, signals: 1 })
  })
})

describe('the situations whose actions are counted', () => {
  it('are compared to what the settings lead to', () => {
    const computed = situations.map((situation) => {
      const { slices, perMinute } = computedActions(situation)
      return [situation.name, situation.partitions, slices, Number(perMinute.toFixed(2))]
    })
    // 7.52 at rest; 12 for each slice that is busy.
    expect(computed).toEqual([
      ['rest', 12, 12, 7.52],
      ['rest', 256, 16, 7.52],
      ['rest', 1_024, 16, 7.52],
      ['busy-slice', 12, 1, 19.52],
      ['spread', 256, 16, 199.52],
    ])
  })
})
