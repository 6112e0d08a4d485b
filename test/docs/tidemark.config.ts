/* Stands for the config of whoever reads a page that imports it. */
import { consumer, defineConfig } from 'tidemark'
import { kafka } from 'tidemark/kafka'
import { memoryStore } from 'tidemark/testing'

export default defineConfig({
  store: memoryStore(),
  consumers: [
    consumer({ group: 'billing', source: kafka({ brokers: ['127.0.0.1:9092'], topic: 'orders' }), handler() {} }),
  ],
})
