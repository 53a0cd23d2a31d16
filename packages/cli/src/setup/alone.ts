import { dirname, join } from 'node:path'
import { takeLock } from '@keytool/tunnel'
import type { Context } from '../context.js'
import { sweepBeside } from './leftovers.js'
import { recordFolder } from './record.js'

/**
 * Does the work while no other setup of this home changes anything: they share the key, the agent and what starts at login,
 * whatever servers they are for. Nobody holds it while somebody is asked.
 * @throws KeytoolError `refused` while another one is at work
 */
export async function whileAlone<T>(context: Context, work: () => Promise<T>): Promise<T> {
  const path = join(recordFolder(context), '.lock')
  const release = await takeLock(path, `a setup is at work in ${context.say.path(dirname(path))}`)
  try {
    // Whoever was ended while taking it has left half of it.
    await sweepBeside(path)
    return await work()
  } finally {
    await release()
  }
}
