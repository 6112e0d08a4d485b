import type { PlainHandler } from 'tidemark'

/** What a sensor sends. */
export interface Reading {
  readonly id: number
  readonly sensor: string
  readonly celsius: number
}

/** What others want to read: the same with the place, and an alert besides where it is too hot. */
export interface Enriched extends Reading {
  readonly place: string
  readonly fahrenheit: number
}

const tooHot = 80

/** Consumes readings, and produces to two topics. Nothing in it knows of transactions. */
export function enrich(topics: { readonly enriched: string; readonly alerts: string }): PlainHandler<Reading> {
  return (readings, { produce }) => {
    for (const source of readings) {
      const { sensor, celsius } = source.value
      const value: Enriched = { ...source.value, place: placeOf(sensor), fahrenheit: (celsius * 9) / 5 + 32 }
      produce(topics.enriched, { key: sensor, value, source })
      if (celsius > tooHot) produce(topics.alerts, { key: sensor, value, source })
    }
  }
}

export function isHot({ celsius }: Reading): boolean {
  return celsius > tooHot
}

function placeOf(sensor: string): string {
  return `hall ${Number(sensor.split('-')[1]) % 7}`
}
