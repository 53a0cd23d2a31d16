import { AsyncLocalStorage } from 'node:async_hooks'

/** Set for what runs within the turn that is on. */
const inside = new AsyncLocalStorage<true>()

/** Ends when the last of those who wait has had theirs. */
let last: Promise<void> = Promise.resolve()

/** The right to ask: there is one terminal, and work goes on for many hosts. */
export interface Turn {
  /** Questions asked in here belong to this turn. */
  within<T>(work: () => Promise<T>): Promise<T>
  /** Lets the next one ask. Once is enough, more do no harm. */
  release(): void
}

/** Waits until nobody else asks. Whoever takes it must release it, whatever happens. */
export async function waitForTurn(): Promise<Turn> {
  const before = last
  let release = (): void => {}
  last = new Promise(resolve => {
    release = resolve
  })
  await before
  return { within: work => inside.run(true, work), release }
}

/** Asks, when nobody else does; at once within a turn that was taken for several questions. */
export async function inTurn<T>(work: () => Promise<T>): Promise<T> {
  if (inside.getStore()) return work()
  const turn = await waitForTurn()
  try {
    return await turn.within(work)
  } finally {
    turn.release()
  }
}
