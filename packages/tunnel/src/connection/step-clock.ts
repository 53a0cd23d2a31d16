import type { Phase } from './trouble.js'

/** How long the server may take for one step of each phase, in milliseconds. */
export type StepTimes = Partial<Readonly<Record<Phase, number>>>

/** The usual, and what it owes then. */
const steps: Readonly<Record<Phase, number>> = { hello: 10_000, handshake: 30_000, login: 30_000, ready: 30_000 }

export const awaited: Readonly<Record<Phase, string>> = {
  hello: 'its greeting',
  handshake: 'its part of the handshake',
  login: 'its answer to the login',
  ready: 'a sign of life',
}

/**
 * Runs while the server has something to do and stands while we or the user have. What the server sends meanwhile does
 * not set it back: only a step that is done does.
 */
export class StepClock {
  readonly #times: StepTimes
  readonly #tooLate: (time: number) => void
  #timer: NodeJS.Timeout | undefined

  /** @param times instead of the table's */
  constructor(times: StepTimes, tooLate: (time: number) => void) {
    this.#times = times
    this.#tooLate = tooLate
  }

  start(phase: Phase): void {
    this.stop()
    const time = this.#times[phase] ?? steps[phase]
    this.#timer = setTimeout(() => this.#tooLate(time), time)
  }

  stop(): void {
    clearTimeout(this.#timer)
  }
}
