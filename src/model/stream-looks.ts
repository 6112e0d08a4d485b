/** A stream counts as deleted after this many looks in a row: a broker that has just started may not know its topics yet. */
export const looksForStream = 5
/** Ms. */
export const betweenLooks = 1_000
