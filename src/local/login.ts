/** Whom a server that we start lets in. */
export interface Login {
  readonly user: string
  readonly password: string
}
