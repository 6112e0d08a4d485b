import { CancellationScope } from '@temporalio/workflow'
import { presence } from '../activities.js'
import type { Group } from './group-state.js'

/** Waits for a worker with the config in force, where older ones work in its place. Its version wins again. */
export class ConfigReturn {
  #waiting: CancellationScope | undefined

  constructor(private readonly group: Group) {}

  /** Begins to wait where that is needed, and ends the wait where it is not. */
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
      // A person may end it in the Temporal UI.
      .catch(() => {})
      .finally(() => {
        if (this.#waiting === scope) this.#waiting = undefined
      })
  }
}
