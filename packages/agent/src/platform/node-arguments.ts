import { readFileSync } from 'node:fs'

/**
 * Bytes of the secure heap, a power of two. When it is full, opening a key fails, so it has room for all that an agent's
 * list can name (500 keys of RSA-4096 are 0.9 MiB) and again twice that for what waits to be collected. Pages are locked
 * when they are first used: until then it costs nothing.
 */
export const SECURE_HEAP: number = 4 * 1024 * 1024

/** The smallest piece it hands out, in bytes: an Ed25519 key. */
const SMALLEST = 32

/**
 * What has node keep private keys in locked memory, to stand before the program. Empty where there is no such heap, and
 * where the user may not lock that much: node would then say so on every start, and lock nothing.
 *
 * @param limit how many bytes a process started by this one may lock
 */
export function secureHeapArguments(
  system: string = process.platform,
  limit: number = readLockLimit(),
): readonly string[] {
  if (system === 'win32' || limit < SECURE_HEAP) return []
  return [`--secure-heap=${SECURE_HEAP}`, `--secure-heap-min=${SMALLEST}`]
}

/**
 * What a process that will hold keys is started with: the secure heap; no `__proto__`, through which data could change
 * what every object is; and none of V8's two middle compilers, whose code costs 2 MiB at rest and 7 at work on Node 24,
 * and makes no signature quicker.
 *
 * Not among them is node's own `--disable-sigusr1`: the signal would not reach the agent either, which drops its keys then.
 */
export function nodeArguments(system?: string, limit?: number): readonly string[] {
  return [...secureHeapArguments(system, limit), '--disable-proto=delete', '--no-sparkplug', '--no-maglev']
}

/** proc(5), /proc/PID/limits: the one that holds. Elsewhere there is none, or node finds out. */
function readLockLimit(): number {
  try {
    const found = /^Max locked memory\s+(\d+|unlimited)/m.exec(readFileSync('/proc/self/limits', 'latin1'))?.[1]
    return found === undefined || found === 'unlimited' ? Number.POSITIVE_INFINITY : Number(found)
  } catch {
    return Number.POSITIVE_INFINITY
  }
}
