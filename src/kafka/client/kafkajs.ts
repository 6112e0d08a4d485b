import { driverModule } from '../../reading/driver.js'

/* kafkajs and the parts beneath its public face that Tidemark uses. driver.ts says how. */

const load = <T>(path: string) => driverModule<T>('kafkajs', path, 'tidemark/kafka')

export const kafkajs = load<typeof import('kafkajs')>('kafkajs')
export const BrokerClass = load<typeof import('kafkajs/src/broker/index.js').default>('kafkajs/src/broker/index.js')
export const connectionPoolBuilder = load<typeof import('kafkajs/src/cluster/connectionPoolBuilder.js').default>(
  'kafkajs/src/cluster/connectionPoolBuilder.js',
)
export const loggers = load<typeof import('kafkajs/src/loggers/index.js')>('kafkajs/src/loggers/index.js')
export const apiKeys = load<typeof import('kafkajs/src/protocol/requests/apiKeys.js').default>(
  'kafkajs/src/protocol/requests/apiKeys.js',
)
export const protocol = load<typeof import('kafkajs/src/protocol/requests/index.js')>(
  'kafkajs/src/protocol/requests/index.js',
)
