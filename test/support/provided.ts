/** One part of the stack as tests get it: its addresses, or why it is not there. */
export type Provided<T> = ({ readonly missing: null } & T) | Missing

export interface Missing {
  readonly missing: string
  /** True when this machine lacks it, which skips tests; false when the project's tests never said they use it. */
  readonly wanted: boolean
}

/** What test/support/stack.ts hands to the tests. Plain JSON, because it crosses process borders. */
export interface ProvidedStack {
  readonly temporal: Provided<{ readonly address: string; readonly namespace: string; readonly uiUrl: string | null }>
  readonly postgres: Provided<{ readonly connectionString: string }>
  readonly kafka: Provided<{
    readonly brokers: readonly string[]
    /** Folder of the broker's jars: `java -cp HOME/* org.apache.kafka.tools...`. */
    readonly home: string
  }>
  readonly rabbitmq: Provided<{
    readonly url: string
    /** The broker's port for AMQP, with user and password. */
    readonly amqpUrl: string | null
    /** The management plugin's HTTP interface, with user and password. */
    readonly managementUrl: string | null
  }>
  /** For `TestWorkflowEnvironment.createTimeSkipping({ server: { executable: { type: 'existing-path', path } } })`. */
  readonly timeSkipping: Provided<{ readonly path: string }>
}

export type PartName = keyof ProvidedStack
export type PartOf<P extends PartName> = Exclude<ProvidedStack[P], Missing>

declare module 'vitest' {
  interface ProvidedContext {
    stack: ProvidedStack
  }
}
