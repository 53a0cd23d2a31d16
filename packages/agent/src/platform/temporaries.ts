import { unlinkSync } from 'node:fs'

/** The temporary files that are there now. Whatever ends the process ends them: a private key may lie open in one. */
const temporaries = new Set<string>()

const endings = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/** How long the last file has to be gone until nobody listens any more, in ms. */
const LINGER = 100

let isWatching = false
let lingering: NodeJS.Timeout | undefined

export function remember(temporary: string): void {
  temporaries.add(temporary)
  clearTimeout(lingering)
  if (isWatching) return
  isWatching = true
  process.on('exit', removeAll)
  // Ahead of what is there, which may go as it is called (`once`) and would not be counted then.
  for (const signal of endings) process.prependListener(signal, endBy)
}

/** Removes a temporary file, unless it has taken its name. */
export function discard(temporary: string): void {
  if (!temporaries.delete(temporary)) return
  removeIfThere(temporary)
  if (temporaries.size > 0) return
  // A signal that has come but was not handed on yet is lost with its listener. Hence not at once, where many files are
  // written one after the other, and then just after the system was asked.
  lingering = setTimeout(() => setImmediate(stopIfIdle).unref(), LINGER).unref()
}

function stopIfIdle(): void {
  if (temporaries.size === 0) stopWatching()
}

function stopWatching(): void {
  clearTimeout(lingering)
  isWatching = false
  process.off('exit', removeAll)
  for (const signal of endings) process.off(signal, endBy)
}

function removeAll(): void {
  for (const temporary of temporaries) removeIfThere(temporary)
}

/** A signal that nobody else listens for does what it would have done without us. */
function endBy(signal: NodeJS.Signals): void {
  // A host that listens may go on, and then the files are still being written; if it ends, `exit` removes them.
  if (process.listenerCount(signal) > 1) return
  removeAll()
  stopWatching()
  process.kill(process.pid, signal)
}

/** Removes a file that may never have come to be. Where that fails, it must not hide what failed before. */
export function removeIfThere(path: string): void {
  try {
    unlinkSync(path)
  } catch {
    // It is gone already, or whatever kept it from being written keeps it from being removed.
  }
}
