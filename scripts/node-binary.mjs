/** Other versions of Node than the running one, from the npm package `node`: npm keeps them in its cache. */
import { spawnSync } from 'node:child_process'

/** Path of Node `major`, downloaded if need be. Throws, saying why, when it can't be had. */
export function nodeBinary(major) {
  const asked = ['-y', `node@${major}`, '-p', 'process.version + " " + process.execPath']
  const { status, stdout, stderr, error } = spawnSync('npx', asked, { encoding: 'utf8' })
  const [, version, path] = /^v(\S+) (.+)$/m.exec(stdout ?? '') ?? []
  if (status !== 0 || version?.split('.')[0] !== String(major))
    throw new Error(
      `Node ${major} can't be had: "npx -y node@${major}" ${version ? `is Node ${version}` : 'failed'}. It comes from the npm ` +
        `registry, which must be reachable.\n${error?.message ?? stderr}`,
    )
  return { version, path }
}
