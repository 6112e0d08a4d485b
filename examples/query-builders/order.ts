/** What the examples read: a message's value. */
export interface Order {
  readonly id: number
  readonly customer: string
  /** In cents. */
  readonly amount: number
}
