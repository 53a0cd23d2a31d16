/** For whom something is held in memory. */
export interface Holder {
  /** How much, in bytes, at this moment. */
  readonly held: number
  /** Cuts them off: nothing is held for them any more. */
  destroy(): void
}

/**
 * Memory for what all connections of a service have begun and not finished: half messages, requests that wait or are under
 * way, answers that nobody reads.
 *
 * When it is full, who has held much for longest is cut off. An honest client is through with a large message in
 * milliseconds; who holds little is never in the way, and so is never cut off: that much is held beside it for each.
 */
export class Holdings {
  readonly #most: number
  readonly #little: number
  /** What each of those holds that hold much, as far as is known. Who has done so for longest comes first. */
  readonly #much = new Map<Holder, number>()
  #sum = 0

  /**
   * @param most bytes for all together
   * @param little bytes that a client may hold beside that
   */
  constructor(most: number, little: number) {
    this.#most = most
    this.#little = little
  }

  /** To be called when what is held for them has changed. It may be they who are cut off. */
  look(holder: Holder): void {
    this.#note(holder)
    if (this.#sum > this.#most) this.#makeRoom()
  }

  forget(holder: Holder): void {
    this.#sum -= this.#much.get(holder) ?? 0
    this.#much.delete(holder)
  }

  #note(holder: Holder): void {
    const { held } = holder
    if (held <= this.#little) {
      this.forget(holder)
      return
    }
    this.#sum += held - (this.#much.get(holder) ?? 0)
    this.#much.set(holder, held)
  }

  #makeRoom(): void {
    // Answers that were read meanwhile are held no more.
    for (const holder of [...this.#much.keys()]) this.#note(holder)
    for (const holder of [...this.#much.keys()]) {
      if (this.#sum <= this.#most) return
      this.forget(holder)
      holder.destroy()
    }
  }
}
