/** How often is looked, in milliseconds. */
const INTERVAL = 2_000
/** So much later than expected is no busy machine: it slept, or this process was stopped. In milliseconds. */
const GAP = 5_000

export interface WakeClock {
  /** The wall clock, in milliseconds: it goes on while the machine sleeps. */
  now(): number
  /** Calls back again and again; what it returns ends that. */
  every(milliseconds: number, work: () => void): () => void
}

const system: WakeClock = {
  now: () => Date.now(),
  every(milliseconds, work) {
    // Nobody is kept running only to be watched.
    const timer = setInterval(work, milliseconds).unref()
    return () => clearInterval(timer)
  },
}

/**
 * Tells when the machine has slept: a timer that comes far too late by the wall clock. A clock that was put forward looks the
 * same, and does no harm.
 * @returns what ends it
 */
export function watchWake(onWake: () => void, clock: WakeClock = system): () => void {
  let last = clock.now()
  return clock.every(INTERVAL, () => {
    const now = clock.now()
    const late = now - last - INTERVAL
    last = now
    if (late > GAP) onWake()
  })
}
