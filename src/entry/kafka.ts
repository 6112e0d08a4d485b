/* The subpath `tidemark/kafka`. */

export type { KafkaOptions } from '../kafka/client/options.js'
export type { KafkaOutputOptions } from '../kafka/output/options.js'
export { kafkaOutput } from '../kafka/output/output.js'
export { kafka } from '../kafka/source/source.js'
export type { KafkaStoreOptions } from '../kafka/store/options.js'
export { kafkaStore } from '../kafka/store/store.js'
export {
  bytes,
  json,
  text,
  type ValueCodec,
  type ValueInfo,
  type ValueOption,
} from '../reading/value.js'
