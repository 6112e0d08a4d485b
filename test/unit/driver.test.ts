import { expect, it } from 'vitest'
import { installable } from '../../src/reading/driver.js'

it('a driver of which one version only will do is installed in that version', () => {
  expect(['kafkajs', 'rabbitmq-stream-js-client', 'pg'].map(installable)).toEqual([
    'kafkajs@2.2.4',
    'rabbitmq-stream-js-client@1.0.0',
    'pg',
  ])
})
