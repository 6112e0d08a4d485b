/*
 * A setup file of `npm run verify:nodes`: proves that each test file runs under the Node that was asked for. Vitest starts its
 * workers itself, and one that ran under another Node would prove nothing about this one.
 */
const asked = process.env.TIDEMARK_TEST_NODE
if (process.versions.node !== asked)
  throw new Error(`this worker runs under Node ${process.versions.node}, not ${asked}: ${process.execPath}`)
