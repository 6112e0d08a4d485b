/* The subpath `tidemark/rabbitmq`. */

export type { KeyOption, RabbitmqOptions } from '../rabbitmq/client/options.js'
export { rabbitmq } from '../rabbitmq/source/source.js'
export type { RabbitmqStoreOptions } from '../rabbitmq/store/options.js'
export { rabbitmqStore } from '../rabbitmq/store/store.js'
export {
  bytes,
  json,
  text,
  type ValueCodec,
  type ValueInfo,
  type ValueOption,
} from '../reading/value.js'
