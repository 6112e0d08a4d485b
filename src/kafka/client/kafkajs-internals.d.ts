/*
 * The parts of kafkajs 2.2.4 that Tidemark uses beneath its public face. Its version is pinned for that reason. Only
 * kafkajs.ts loads them.
 */
declare module 'kafkajs/src/cluster/connectionPoolBuilder.js' {
  const connectionPoolBuilder: (options: Record<string, unknown>) => {
    build(destination: import('./driver.js').Address): Promise<import('./driver.js').ConnectionPool>
  }
  export default connectionPoolBuilder
}
declare module 'kafkajs/src/broker/index.js' {
  const Broker: new (options: Record<string, unknown>) => import('./driver.js').Broker
  export default Broker
}
declare module 'kafkajs/src/loggers/index.js' {
  export const createLogger: (options: { level: number; logCreator: unknown }) => unknown
  export const LEVELS: { NOTHING: number; ERROR: number; WARN: number; INFO: number; DEBUG: number }
}
declare module 'kafkajs/src/protocol/requests/index.js' {
  export const requests: Readonly<Record<import('./driver.js').RequestName, unknown>>
}
declare module 'kafkajs/src/protocol/requests/apiKeys.js' {
  const apiKeys: Readonly<Record<import('./driver.js').SpokenName, number>>
  export default apiKeys
}
