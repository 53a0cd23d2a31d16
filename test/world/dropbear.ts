import { access, constants } from 'node:fs/promises'
import { join } from 'node:path'
import { temporaryFolder } from './folder.js'
import { findFreePort } from './port.js'
import { runOrThrow } from './run.js'
import { start } from './start.js'

const dropbear = '/usr/sbin/dropbear'
const dropbearkey = '/usr/bin/dropbearkey'

export interface Dropbear {
  readonly port: number
  /** What it logged so far. */
  log(): string
  stop(): Promise<void>
}

/**
 * Starts Dropbear's server on 127.0.0.1, with a host key of its own. Every user of this system may log in with a key of
 * theirs. Needs root.
 * @param more further arguments, such as `-j` (no local forwards)
 * @param by a program and its arguments that run it, such as `unshare`
 */
export async function startDropbear(more: readonly string[] = [], by: readonly string[] = []): Promise<Dropbear> {
  for (const program of [dropbear, dropbearkey]) {
    await access(program, constants.X_OK).catch(cause => {
      throw new Error(`${program} is not installed: apt-get install dropbear-bin`, { cause })
    })
  }
  const folder = await temporaryFolder()
  const hostKey = join(folder.path, 'host')
  await runOrThrow(dropbearkey, ['-t', 'ed25519', '-f', hostKey])
  // The port may be taken between its choice and the start: then another is tried.
  for (let tries = 1; ; tries++) {
    const port = await findFreePort()
    const [program = dropbear, ...args] = [
      ...by,
      dropbear,
      '-F',
      '-E',
      '-s',
      '-r',
      hostKey,
      '-p',
      `127.0.0.1:${port}`,
      '-P',
      join(folder.path, 'pid'),
      ...more,
    ]
    const server = await start(program, args)
    const stop = async () => {
      await server.stop()
      await folder.dispose()
    }
    try {
      // Said once it listens.
      await server.stderr.waitFor(/Not backgrounding/)
      return { port, log: () => server.stderr.text, stop }
    } catch (error) {
      await server.stop()
      if (tries < 5) continue
      await stop()
      throw error
    }
  }
}
