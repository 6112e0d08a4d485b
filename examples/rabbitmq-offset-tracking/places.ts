/** Where everything runs: what docker-compose.yml starts, unless the environment says otherwise. */
export const {
  RABBITMQ_URL: url = 'rabbitmq-stream://app:app@127.0.0.1:5552',
  DATABASE_URL: connectionString = 'postgresql://app:app@127.0.0.1:5432/app',
  STREAM: stream = 'offset-tracking',
} = process.env

/** The last message of a wave. */
export const marker = 'marker'
