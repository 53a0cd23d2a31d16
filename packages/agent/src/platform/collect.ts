import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { openLibrary } from './libc.js'

let collect: (() => void) | undefined
let timer: NodeJS.Timeout | undefined
let last = Number.NEGATIVE_INFINITY

/** Keys that come and go by the hundred are not to cost a collection each. In milliseconds. */
const PAUSE = 1000

/**
 * Has keys that were let go of wiped soon. OpenSSL wipes a key when node frees it, and node does so only when garbage is
 * collected, which nothing presses for in an agent at rest: it could keep a removed key for hours, and fill the secure
 * heap with them. For after a key was removed or sealed: at once, or a second after the last time. Takes some 5 ms.
 */
export function collectKeys(): void {
  if (timer) return
  const wait = Math.max(0, last + PAUSE - performance.now())
  timer = setTimeout(() => {
    timer = undefined
    last = performance.now()
    collect ??= findCollector()
    collect()
  }, wait).unref()
}

/** Node shows its collector only to contexts made while the flag is set. */
function findCollector(): () => void {
  setFlagsFromString('--expose-gc')
  try {
    return runInNewContext('gc') as () => void
  } finally {
    setFlagsFromString('--no-expose-gc')
  }
}

/**
 * Gives memory back that is free but still held: some 2 MiB after a start. Only glibc has that to give; nothing happens
 * elsewhere.
 */
export async function trimMemory(open: typeof openLibrary = openLibrary): Promise<void> {
  collect ??= findCollector()
  collect()
  if (process.platform !== 'linux') return
  try {
    const library = await open()
    library.bind('int malloc_trim(size_t)')(0)
  } catch {
    // Another C library, or no koffi: it stays as it is.
  }
}
