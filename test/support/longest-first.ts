import { BaseSequencer, type TestSpecification } from 'vitest/node'

/** Files that take longest, longest first: one of them started last would run alone for a minute. */
const longest = [
  'unit/failing/model',
  'unit/config-files',
  'unit/rabbitmq-witness',
  'unit/batch/neighbours.property',
  'unit/batch/loop-monitor',
  'chaos/chaos',
  'chaos/temporal-outage',
  'chaos/soak',
  'chaos/storm',
  'chaos/failures',
  'workflow/group',
  'workflow/slice-commands',
  'workflow/slice-fallback',
  'integration/two-builds',
  'integration/reslice',
  'integration/kafka-unclean',
  'integration/ended-workflows',
  'integration/private-errors',
  'integration/offset-tracking',
  'integration/stopped-groups',
  'integration/produce-kills',
  'integration/fallback',
  'integration/worker-life',
  'integration/local-stack',
  'contract/output-kafka',
  'contract/postgres-silence',
  'integration/consume',
  'integration/foreign-offsets',
  'integration/walk-through',
  'integration/commands',
  'integration/errors',
  'integration/package',
  'integration/cli-offsets',
  'integration/reset',
  'integration/rabbitmq-outages',
  'integration/rabbitmq-kills',
  'integration/pause-truth',
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
