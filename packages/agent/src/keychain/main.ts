import { protectMemory } from '../platform/memory.js'
import { places } from '../platform/places.js'
import { answer } from './answer.js'
import { Gathering, packFrame } from './frame.js'
import { whileLocked } from './index-lock.js'
import { openStore, type SystemStore } from './system-store.js'

/**
 * The child that talks to the keychain: one request on its standard input, one answer on its standard output. A process of
 * its own, because libsecret waits without limit for a bus that is dead, because an add-on can end the process, and because
 * the library gives passphrases as strings, which nobody can wipe: they are gone with the process.
 */

/** Whoever started it kills it sooner, unless they were killed themselves. In milliseconds. */
const LAST_RESORT = 15_000
const BUS_TIMEOUT = 4000

// Without a handler it opens the debugger's port.
process.on('SIGUSR1', () => undefined)
process.stdout.on('error', () => process.exit(1))
process.stdin.on('error', () => process.exit(1))

/** No other program of the user's may look into it, and a crash leaves nothing behind. */
const isProtected = protectMemory({ limitCore: true })

/** What can be made ready before anybody asks. */
const opened = open()
opened.catch(() => undefined)

const request = new Gathering()
let isAsked = false
process.stdin.on('data', part => {
  const fields = request.add(part)
  if (fields) void serve(fields)
})
process.stdin.on('end', () => {
  if (!isAsked) process.exit(0)
})

function open(): Promise<SystemStore> {
  const { env, platform } = process
  const loadKeytar = async () => (await import('keytar')).default
  return openStore({ env, timeout: BUS_TIMEOUT, loadKeytar, system: platform })
}

async function serve(fields: readonly Buffer[]): Promise<void> {
  isAsked = true
  // Not exit(): that waits for the thread in which the library hangs.
  setTimeout(() => process.kill(process.pid, 'SIGKILL'), LAST_RESORT).unref()
  await isProtected
  const reply = await answer(fields, {
    // A keyring may have come meanwhile.
    open: () => opened.catch(open),
    whileLocked: work => whileLocked(places(process.env), work),
  })
  process.stdout.write(packFrame(reply), () => process.exit(0))
}
