import { CancellationScope } from '@temporalio/workflow'
import { presence } from '../activities.js'
import type { Group } from './group-state.js'

/** While workers with an older config stand in, waits for a worker with the config in force, and then switches back to it. */
export class ConfigReturn {
  #waiting: CancellationScope | undefined

  constructor(private readonly group: Group) {}

  /** Starts waiting if a stand-in is at work, and stops waiting if not. */
  update(): void {
    const { revision, members } = this.group
    if (members.version === revision.version) this.cancel()
    else if (!this.#waiting) this.#wait()
  }

  cancel(): void {
    this.#waiting?.cancel()
    this.#waiting = undefined
  }

  #wait(): void {
    const { revision } = this.group
    const { version } = revision
    const scope = new CancellationScope()
    this.#waiting = scope
    scope
      .run(() => presence(revision, version))
      .then(() => {
        if (!scope.consideredCancelled) this.group.fallBack({ wanted: version, version })
      })
      // A person may have ended the activity in the Temporal UI.
      .catch(() => {})
      .finally(() => {
        if (this.#waiting === scope) this.#waiting = undefined
      })
  }
}
