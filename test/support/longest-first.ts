import { BaseSequencer, type TestSpecification } from 'vitest/node'

/** Files that take longest, longest first: one of them started last would run alone for a minute. */
const longest = [
  'chaos/chaos',
  'chaos/temporal-outage',
  'chaos/soak',
  'chaos/storm',
  'chaos/failures',
  'workflow/slice-fallback',
  'workflow/testing-kit',
  'workflow/hand-over',
  'workflow/continue-as-new',
  'workflow/testing-examples',
  'workflow/slice-commands',
  'unit/failing/model',
  'unit/config-files',
  'unit/rabbitmq-witness',
  'unit/batch/neighbours.property',
  'unit/batch/loop-monitor',
  'integration/reslice',
  'integration/two-builds',
  'integration/ended-workflows',
  'integration/produce-kills',
  'integration/kafka-unclean',
  'integration/package',
  'integration/worker-life',
  'integration/commands',
  'integration/quick-start',
  'integration/offset-tracking',
  'integration/replica-promoted',
  'integration/temporal-restored',
  'integration/private-errors',
  'integration/fallback',
  'integration/stopped-groups',
  'integration/foreign-offsets',
  'integration/consume',
  'integration/cli-offsets',
  'integration/reset',
  'contract/other-settings',
  'integration/local-stack',
  'integration/errors',
  'integration/walk-through',
  'integration/pause-truth',
  'integration/set-back',
  'integration/outbox',
  'contract/postgres-silence',
  'contract/behind-pgbouncer',
  'integration/failures',
  'integration/postgres-stream',
  'integration/rabbitmq-kills',
  'contract/output-kafka',
  'integration/activity-commands',
  'integration/rabbitmq-outages',
  'contract/other-role',
]

/** The order of files, the same in every run: those above, then the others by size, which tells something of their time. */
export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification) => {
      const found = longest.findIndex((name) => moduleId.endsWith(`/test/${name}.test.ts`))
      return found < 0 ? longest.length : found
    }
    return (await super.sort(files)).sort((a, b) => rank(a) - rank(b))
  }
}
