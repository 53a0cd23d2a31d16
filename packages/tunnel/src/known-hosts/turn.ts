/** The last writer of this process; it never fails. */
let lastTurn: Promise<unknown> = Promise.resolve()

/** One after the other: two connections to one host must not both find its key missing. */
export function inTurn<T>(work: () => Promise<T>): Promise<T> {
  const turn = lastTurn.then(work)
  lastTurn = turn.catch(() => {})
  return turn
}
