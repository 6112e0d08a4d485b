import { constants } from 'node:os'
import { errorCodes } from '../../src/model/errors.js'

const system = new Set(Object.keys(constants.errno))
/** Classes of SQLSTATEs: https://www.postgresql.org/docs/current/errcodes-appendix.html */
const sqlState = /^(?:0[0-9A-Z]|2[0-9A-F]|3[489BDF]|4[024]|5[34578]|72|F0|HV|P0|XX)[0-9A-Z]{3}$/
/** Of Node, its resolver and its HTTP client, and of MySQL. */
const ofLibraries = /^(?:ERR|EAI|UND_ERR|HPE|ER)(?:_[A-Z]+)+$|^ENOTFOUND$/

/** Whether a code can't hold data: it is one that a system, a database or Tidemark gives. Others may be any text. */
export function isWellKnown(code: string): boolean {
  return system.has(code) || sqlState.test(code) || ofLibraries.test(code) || errorCodes.has(code)
}
