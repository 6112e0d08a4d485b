/** The workflow types that a worker registers. Their names are part of running workflows' histories: never rename one. */
export { consumerGroup } from './group.js'
export { consumerSlice } from './slice.js'
