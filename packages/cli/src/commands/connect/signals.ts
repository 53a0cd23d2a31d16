import { constants } from 'node:os'

const watched = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const

export interface Signals {
  /** Aborted by the first of them, whose name is its reason. */
  readonly aborted: AbortSignal
  /** What a shell says of a program that the signal ended. */
  readonly status: number
  stop(): void
}

/** Signals that ask this program to end: it does, once the terminal is as it was. */
export function watchSignals(): Signals {
  const controller = new AbortController()
  const note = (name: NodeJS.Signals) => controller.abort(name)
  for (const name of watched) process.on(name, note)
  return {
    aborted: controller.signal,
    get status() {
      return 128 + (constants.signals[controller.signal.reason as NodeJS.Signals] ?? 0)
    },
    stop() {
      for (const name of watched) process.off(name, note)
    },
  }
}
