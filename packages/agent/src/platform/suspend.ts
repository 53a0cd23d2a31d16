import type { Environment } from './places.js'

export interface SuspendOptions {
  /** The machine is about to sleep. It does not wait for us: whatever is to be done is to be done at once. */
  readonly onSuspend: () => void
  /** The user's screen is locked. May come several times for one. */
  readonly onScreenLock: () => void
  readonly env?: Environment
  /** Where a system bus is when the environment names none. */
  readonly systemSocket?: string
  /** Milliseconds that connecting and each answer may take. Default: 5000. */
  readonly timeout?: number
  /** Milliseconds to wait before connecting again, doubled each time up to a minute. Default: 1000. */
  readonly retry?: number
}

export interface SuspendWatch {
  /** What is not noticed just now, and why. Fit to be shown. */
  readonly trouble: string | undefined
  close(): void
}

/**
 * Tells when the machine goes to sleep and when the screen is locked, as far as the system says so. Never rejects: what can't
 * be watched is told as trouble.
 */
export async function watchSuspend(options: SuspendOptions, system: string = process.platform): Promise<SuspendWatch> {
  if (system === 'linux') {
    const { watchOnLinux } = await import('./suspend-linux.js')
    return watchOnLinux(options)
  }
  return { trouble: 'suspend and screen lock are not noticed on this system', close: () => undefined }
}
