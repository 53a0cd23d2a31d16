/** What the first wait may be, in milliseconds; each later one twice as long, up to the cap of its time. */
const FIRST = 500
/** The cap while a server has been away for less than {@link EARLY}: whoever restarts a server is found within two seconds. */
const EARLY_CAP = 1_500
const EARLY = 60_000
/** The cap later on. */
const LATE_CAP = 30_000
/** The least: a dice that shows 0 again and again must not become a loop. */
const LEAST = 50
/** A connection that stood so long was a good one: when it is lost, the next try comes at once. */
export const STEADY = 30_000
/** So many connections in a row may be lost sooner before logins become rare: a server that takes and drops is left alone. */
const SPARE = 64

/** What is tried rarely comes so late at most; half of it is the least. */
const RARE = 30_000

/** A key is looked for so often where only we are asked; and where only a login can tell. */
const KEY_LOOK = 3_000
const KEY_FIRST = 30_000
const KEY_CAP = 300_000

/**
 * When to try again: full jitter (every wait is drawn from 0 to its cap), so that a thousand tunnels don't come back in the same
 * moment. A dialled host that says nothing takes time, too: that counts as waited.
 */
export class Backoff {
  readonly #random: () => number
  #awaySince: number
  #tries = 0
  #lateTries = 0
  #shortLived = 0
  #keyTries = 0

  /** @param random from 0 to 1, as Math.random */
  constructor(now: number, random: () => number) {
    this.#awaySince = now
    this.#random = random
  }

  /** Whether the server went so lately that it may be back any moment. */
  isEarly(now: number): boolean {
    return now - this.#awaySince < EARLY
  }

  /**
   * A connection was lost that had been up for `upFor` milliseconds.
   * @returns how long to wait
   */
  afterLoss(now: number, upFor: number): number {
    this.#shortLived = upFor >= STEADY ? 0 : this.#shortLived + 1
    this.hasten(now)
    return this.#shortLived === 0 ? 0 : this.#draw(now)
  }

  /**
   * A try failed that had taken `spent` milliseconds.
   * @returns how long to wait now
   */
  afterFailure(now: number, spent: number): number {
    return Math.max(LEAST, this.#draw(now) - spent)
  }

  /** Something answered that is not the server as it was. */
  afterMismatch(): number {
    return RARE * (0.5 + this.#random() / 2)
  }

  /** There was nothing to log in with. @param canLook whether that can be seen without the server */
  forKey(canLook: boolean): number {
    if (canLook) return KEY_LOOK
    const cap = Math.min(KEY_FIRST * 2 ** this.#keyTries++, KEY_CAP)
    return cap * (0.5 + this.#random() / 2)
  }

  /** Something has changed: what was tried before says nothing any more. */
  hasten(now: number): void {
    this.#awaySince = now
    this.#tries = 0
    this.#lateTries = 0
    this.#keyTries = 0
  }

  #draw(now: number): number {
    return Math.max(LEAST, this.#random() * this.#cap(now))
  }

  #cap(now: number): number {
    const excess = this.#shortLived - SPARE
    const forced = excess > 0 ? EARLY_CAP * 2 ** excess : 0
    const early = Math.min(FIRST * 2 ** this.#tries++, EARLY_CAP)
    const usual = this.isEarly(now) ? early : EARLY_CAP * 2 ** ++this.#lateTries
    return Math.min(Math.max(usual, forced), LATE_CAP)
  }
}
