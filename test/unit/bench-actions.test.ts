import { describe, expect, it } from 'vitest'
import { countedBetween, exceptHeartbeats, parseActionCounts } from '../../bench/action-counts.js'
import { computedActions, perBusySlice, situations } from '../../bench/situations.js'

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

  it('tell by all but the heartbeats whether anything happens', () => {
    expect(exceptHeartbeats(parseActionCounts(metrics, 'default'))).toBe(116)
  })

  it('are told apart from those of earlier measurements', () => {
    const before = { heartbeats: 90, queries: 3 }
    expect(countedBetween(before, { heartbeats: 98, queries: 3, signals: 1 })).toEqual({ heartbeats: 8, signals: 1 })
  })
})

describe('what a busy slice adds', () => {
  it("is the difference between groups, so that the group's own actions are not in it", () => {
    // 7.5 of the group in both
    expect(perBusySlice({ slices: 1, actionsPerMinute: 19.5 }, { slices: 3, actionsPerMinute: 43.5 })).toBe(12)
  })

  it('is measured with the same traffic for each partition and slice', () => {
    const [one, more] = (['busy-slice', 'busy-slices'] as const).map((name) =>
      situations.find((situation) => situation.name === name),
    )
    const share = (situation = one!) => {
      const { slices } = computedActions(situation)
      return [situation.partitions / slices, situation.messagesPerSecond / slices]
    }
    expect(share(more)).toEqual(share(one))
  })
})

describe('the situations whose actions are counted', () => {
  it('are compared to what the settings lead to', () => {
    const computed = situations.map((situation) => {
      const { slices, perMinute, perSlice } = computedActions(situation)
      return [situation.name, situation.partitions, slices, Number(perMinute.toFixed(2)), perSlice]
    })
    // 7.52 at rest; 12 for each slice that is busy.
    expect(computed).toEqual([
      ['rest', 12, 12, 7.52, 12],
      ['rest', 256, 16, 7.52, 12],
      ['rest', 1_024, 16, 7.52, 12],
      ['busy-slice', 12, 1, 19.52, 12],
      ['busy-slices', 36, 3, 43.52, 12],
      ['spread', 256, 16, 199.52, 12],
    ])
  })
})
