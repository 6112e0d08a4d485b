import { BaseSequencer, type TestSpecification } from 'vitest/node'

/** Files that take longest, longest first: one of them started last would run alone for a minute. */
const longest = [
  'chaos/chaos',
  'chaos/soak',
  'chaos/temporal-outage',
  'workflow/slice-failures',
  'chaos/storm',
  'workflow/slice-commands',
  'workflow/group',
  'integration/two-builds',
  'integration/reslice',
  'integration/private-errors',
  'integration/produce-kills',
  'integration/fallback',
  'contract/postgres-silence',
  'integration/worker-life',
  'integration/offset-tracking',
  'integration/ended-workflows',
  'integration/stopped-groups',
  'integration/commands',
  'integration/local-stack',
  'contract/other-settings',
  'integration/consume',
  'integration/errors',
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
