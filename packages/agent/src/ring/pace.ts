/**
 * Decides where quick signatures are made. One alone is made at once: a hop to a thread would cost more than it gains.
 * Where several wait they go to threads, so that the event loop reads and answers meanwhile.
 */
export class Pace {
  #inThisTurn = 0
  #inThreads = 0

  /** @param mayHop whether there are threads to be had: behind slow work a quick signature would wait for that */
  run<T>(mayHop: boolean, sign: (inThread: boolean) => Promise<T>): Promise<T> {
    if (this.#inThisTurn++ === 0) {
      setImmediate(() => {
        this.#inThisTurn = 0
      })
    }
    if (!mayHop || (this.#inThreads === 0 && this.#inThisTurn === 1)) return sign(false)
    this.#inThreads++
    return sign(true).finally(() => {
      this.#inThreads--
    })
  }
}
