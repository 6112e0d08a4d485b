/* The subpath `tidemark/kafka`. */
export type { KafkaOptions } from './sources/kafka/options.js'
export { kafka } from './sources/kafka/source.js'
export { bytes, json, text, type ValueCodec, type ValueInfo, type ValueOption } from './sources/value.js'
