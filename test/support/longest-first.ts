import { BaseSequencer, type TestSpecification } from 'vitest/node'

/** Files that take longest, longest first: one of them started last would run alone for a minute. */
const longest = [
  'chaos/chaos',
  'chaos/temporal-outage',
  'chaos/storm',
  'workflow/partition',
  'workflow/group',
  'workflow/continue-as-new',
  'integration/package',
  'integration/cli-offsets',
  'integration/consume',
  'integration/errors',
  'integration/produce-kills',
  'integration/offset-tracking',
  'integration/rabbitmq-kills',
  'integration/commands',
  'integration/walk-through',
  'integration/local-stack',
  'integration/kafka-restart',
  'integration/outbox',
  'integration/reset',
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
