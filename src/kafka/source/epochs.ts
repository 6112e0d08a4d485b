import { Gather } from '../../storing/gather.js'
import type { BrokerAddress } from '../client/driver.js'
import { codeError } from '../client/failures.js'
import type { EpochEnd, EpochQuestion } from '../client/leader-epochs.js'
import type { Links } from '../client/link-pool.js'
import type { KafkaSettings } from '../client/options.js'
import { readFetchResponse } from './fetch.js'
import { epochAround } from './record-batch.js'

interface Asked extends EpochQuestion {
  readonly leader: BrokerAddress
}

type Answer = EpochEnd | null | Error

/** Asks leaders about the epochs in their logs: what is asked in one turn of the event loop, with one request per leader. */
export class Epochs {
  readonly #gather = new Gather<Asked, EpochEnd | null>((questions) => this.#askTogether(questions), {
    atOnce: Number.POSITIVE_INFINITY,
  })

  constructor(
    private readonly links: Links,
    private readonly settings: KafkaSettings,
  ) {}

  /**
   * Where an epoch ends in the log of a leader; null where that broker is too old to say.
   *
   * @throws TidemarkError when the broker does not lead the partition in this epoch, and what the driver says
   */
  endOf(leader: BrokerAddress, question: EpochQuestion): Promise<EpochEnd | null> {
    return this.#gather.ask({ ...question, leader })
  }

  /**
   * The epoch of the batch that holds this offset; null where there is none any more.
   *
   * @throws as `endOf`
   */
  async at(leader: BrokerAddress, { partition, leaderEpoch }: EpochQuestion, offset: bigint): Promise<number | null> {
    const { topic } = this.settings
    const partitions = [{ partition, from: offset, maxBytes: 1, leaderEpoch }]
    const request = { maxWaitMs: 0, maxBytes: 1, rackId: '', partitions }
    const raw = await this.links.use(leader, (link) => link.fetch(topic, request))
    const answer = readFetchResponse(raw).partitions[0]
    if (answer === undefined) throw new Error('the broker answered without the partition')
    if (answer.errorCode === outOfRange) return null
    if (answer.errorCode !== 0) throw codeError(answer.errorCode, this.settings, partition)
    return epochAround(offset, answer.records)
  }

  async #askTogether(questions: readonly Asked[]): Promise<readonly Answer[]> {
    const answers = new Map<Asked, Answer>()
    await Promise.all(requestsFor(questions).map((asked) => this.#ask(asked, answers)))
    return questions.map((question) => answers.get(question)!)
  }

  async #ask(asked: readonly Asked[], answers: Map<Asked, Answer>): Promise<void> {
    try {
      const ends = await this.links.use(asked[0]!.leader, (link) => link.epochEnds(this.settings.topic, asked))
      const found = new Map(ends?.map((end) => [end.partition, end]))
      for (const question of asked) {
        const end = found.get(question.partition)
        if (ends === null) answers.set(question, null)
        else if (!end) answers.set(question, new Error('the broker answered without the partition'))
        else answers.set(question, end.errorCode === 0 ? end : codeError(end.errorCode, this.settings, end.partition))
      }
    } catch (error) {
      for (const question of asked) answers.set(question, error as Error)
    }
  }
}

/** OFFSET_OUT_OF_RANGE */
const outOfRange = 1

/** By leader. A request names a partition once, so a second reader of one is in a second request. */
function requestsFor(questions: readonly Asked[]): Asked[][] {
  const requests: Asked[][] = []
  for (const question of questions) {
    const { leader, partition } = question
    const request = requests.find(
      (one) => one[0]!.leader.nodeId === leader.nodeId && one.every((other) => other.partition !== partition),
    )
    if (request) request.push(question)
    else requests.push([question])
  }
  return requests
}
