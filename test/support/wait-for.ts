export { type WaitOptions, waitFor } from '../../src/testing/contracts/wait-for.js'
