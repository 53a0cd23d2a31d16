/** Time as a long-lived thing sees it: handed in, so that nothing has to be waited for in a test. */
export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number
  /** Calls back once, after so many milliseconds. What it returns calls that off. */
  after(milliseconds: number, work: () => void): () => void
}

export const systemClock: Clock = {
  now: () => Date.now(),
  after(milliseconds, work) {
    const timer = setTimeout(work, milliseconds)
    return () => clearTimeout(timer)
  },
}
