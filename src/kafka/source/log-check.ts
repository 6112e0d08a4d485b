import { TidemarkError } from '../../model/errors.js'
import { noEpoch } from '../client/topic-metadata.js'
import { type LeaderLog, type Reached, type Truncation, truncationOf } from './truncation.js'

/** What a check needs of a reader's way to its leader. */
export interface CheckedLink extends LeaderLog {
  /** That of the leader which is asked next; -1 where the cluster does not say, null while no leader was looked for. */
  readonly leaderEpoch: number | null
  /** Looks who leads. */
  findLeader(): Promise<number>
  /** Whether fetches go to a follower. KIP-392. */
  readonly atFollower: boolean
}

/**
 * Notices when a new leader's log does not hold what a reader has read of the former one's (KIP-320). Costs one question when the
 * leader changes, and nothing besides: brokers refuse fetches that name another leader's epoch.
 */
export class LogCheck {
  /** The leader of this epoch has all that was read. */
  #holds = noEpoch
  /** The same, but for what followers have sent since: nobody has asked the leader about that. */
  #held = noEpoch
  /** That of the leader at the last look. */
  #current = noEpoch

  constructor(private readonly link: CheckedLink) {}

  /**
   * Before a fetch. Null, rather than a promise, where nothing has to be asked: the fetch then begins before a handler does that lets
   * nobody else work.
   *
   * @throws LeaderOutdated as a rejection
   */
  before(reached: Reached): Promise<Truncation | null> | null {
    const { leaderEpoch } = this.link
    return leaderEpoch !== null && this.#isCertain(reached, leaderEpoch) ? null : this.#look(reached)
  }

  /**
   * After the fetch. A follower may have sent what it was about to cut off; behind that it goes on with what a newer leader wrote.
   *
   * @param next the epoch of the first batch behind `reached`
   */
  after(reached: Reached, next: number): Promise<Truncation | null> | null {
    const { atFollower } = this.link
    this.#held = this.#current
    this.#holds = atFollower ? noEpoch : this.#current
    if (atFollower && this.#current !== noEpoch && reached.epoch !== noEpoch && next > reached.epoch)
      return truncationOf(reached, this.link)
    return null
  }

  /** Whether there is nothing to ask: a leader of this epoch has all that was read, or nobody can tell. */
  #isCertain({ epoch }: Reached, leaderEpoch: number): boolean {
    this.#current = leaderEpoch
    const holds = this.link.atFollower ? this.#held : this.#holds
    return leaderEpoch === noEpoch || epoch === noEpoch || leaderEpoch === Math.max(epoch, holds)
  }

  async #look(reached: Reached): Promise<Truncation | null> {
    const leaderEpoch = await this.link.findLeader()
    if (this.#isCertain(reached, leaderEpoch)) return null
    const newest = Math.max(reached.epoch, this.#held)
    if (leaderEpoch < newest) throw new LeaderOutdated(leaderEpoch, newest)
    const truncation = await truncationOf(reached, this.link)
    if (!truncation) this.#holds = this.#held = leaderEpoch
    return truncation
  }
}

/** Brokers tell of a leader that is older than one whose messages were read: they are behind, or the topic is another one. */
export class LeaderOutdated extends TidemarkError {
  constructor(leaderEpoch: number, newest: number) {
    super(
      'UNREACHABLE',
      `the brokers name a leader of epoch ${leaderEpoch}, but there was one of epoch ${newest} already`,
    )
  }
}
