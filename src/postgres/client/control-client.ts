import type pg from 'pg'
import { SteadyClient } from './steady-client.js'

/** A connection for control statements. Its `application_name` tells people what it is for. */
export class ControlClient extends SteadyClient {
  constructor(config?: pg.ClientConfig) {
    super(config)
    // The parameters as the driver has read them: a name in the connection string counts more than one in the config.
    const { connectionParameters: read } = this as unknown as { connectionParameters: { application_name?: string } }
    read.application_name = `${read.application_name || 'tidemark'} control`
  }
}
