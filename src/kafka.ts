/* The subpath `tidemark/kafka`. */

export type { KafkaOutputOptions } from './outputs/kafka/options.js'
export { kafkaOutput } from './outputs/kafka/output.js'
export type { KafkaOptions } from './sources/kafka/options.js'
export { kafka } from './sources/kafka/source.js'
export { bytes, json, text, type ValueCodec, type ValueInfo, type ValueOption } from './sources/value.js'
export type { KafkaStoreOptions } from './stores/kafka/options.js'
export { kafkaStore } from './stores/kafka/store.js'
