import type pg from 'pg'
import { driverModule } from '../../reading/driver.js'

const load = <T>(path: string) => driverModule<T>('pg', path, 'tidemark/postgres')

/** The driver's values. Its types are those of `pg`. */
export const driver = load<typeof pg>('pg')

/** What a value means as a parameter of a query, it means in a row that is copied. */
export const { prepareValue } = load<typeof import('pg/lib/utils.js')>('pg/lib/utils.js')
