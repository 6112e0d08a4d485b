import { hostname, userInfo } from 'node:os'

/** `user@host` of this process, for people who look into the history later. A container may run as a user that has no name. */
export function operatorName(): string {
  try {
    return `${userInfo().username}@${hostname()}`
  } catch {
    return `${process.env.USER || process.getuid?.() || 'unknown'}@${hostname()}`
  }
}
