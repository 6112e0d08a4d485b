/* The subpath `tidemark/rabbitmq`. */

export type { KeyOption, RabbitmqOptions } from './sources/rabbitmq/options.js'
export { rabbitmq } from './sources/rabbitmq/source.js'
export { bytes, json, text, type ValueCodec, type ValueInfo, type ValueOption } from './sources/value.js'
export type { RabbitmqStoreOptions } from './stores/rabbitmq/options.js'
export { rabbitmqStore } from './stores/rabbitmq/store.js'
