import { lstat, readdir, rmdir, unlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { readPidFile, removePidFile } from '@keytool/agent'
import { isRunning, probeSocket, startOf } from '@keytool/agent/platform'
import { type AgentPlace, lookFor } from '../commands/agent/options.js'

/** A start's own folder, and the one that is the lock of all starts: with a socket in it, and nothing else. */
const START = /^\.(keytool-)?[0-9a-f]{8}$/

/**
 * Takes away what an agent has left that was ended before it could: the next start would do it. Nothing, while one answers
 * there or its process runs.
 */
export async function sweepDeadAgent(place: AgentPlace): Promise<void> {
  const { socket, pidFile } = place
  const noted = await readPidFile(pidFile)
  const isAlive = noted && isRunning(noted.pid) && (noted.start === undefined || startOf(noted.pid) === noted.start)
  if (isAlive || (await lookFor(place))) return
  const folder = dirname(socket)
  for (const name of await readdir(folder).catch(() => [])) {
    if (!START.test(name)) continue
    const path = join(folder, name)
    for (const each of await readdir(path).catch(() => [])) await unlinkDead(join(path, each))
    await rmdir(path).catch(() => undefined)
  }
  await unlinkDead(socket)
  if (noted) await removePidFile(pidFile, noted.pid)
}

/** A socket on which nobody listens. */
async function unlinkDead(path: string): Promise<void> {
  const stats = await lstat(path).catch(() => undefined)
  if (!stats?.isSocket() || stats.uid !== process.getuid?.()) return
  if ((await probeSocket(path)) === 'dead') await unlink(path).catch(() => undefined)
}
