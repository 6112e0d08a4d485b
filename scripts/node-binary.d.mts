/** Path of Node `major`, downloaded if need be. Throws, saying why, when it can't be had. */
export function nodeBinary(major: string): { readonly version: string; readonly path: string }
