import type pg from 'pg'
import { driver } from './driver.js'

/**
 * A connection that ends no process. The pool's own guard against errors of idle connections is off for a moment when one
 * is handed out, and a server that shuts down may say so in the very packet that ends the greeting or the last answer.
 * Nothing is missed: the next statement fails.
 *
 * Connecting gives up after a while, too. The pool's own option would do that also for those who wait for a free connection,
 * and they wait for handlers, which may take long.
 */
export class SteadyClient extends driver.Client {
  constructor(config?: pg.ClientConfig) {
    super({ ...config, connectionTimeoutMillis: 10_000 })
    this.on('error', () => {})
  }
}
