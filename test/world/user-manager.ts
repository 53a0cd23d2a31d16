import { setTimeout as sleep } from 'node:timers/promises'
import type { Environment } from './home.js'
import { peerPath } from './peers.js'
import { type RunResult, run } from './run.js'
import { start } from './start.js'

/** A user's systemd, as it runs from login to logout. */
export interface UserManager {
  /** Its tool, in the same session. */
  systemctl(...args: string[]): Promise<RunResult>
  /** Logs out. */
  stop(): Promise<void>
}

/**
 * It runs only where a system's systemd does, which it knows by a folder: so it gets a /run of its own, with that folder in
 * it. Its units lie in the environment's HOME, its sockets in XDG_RUNTIME_DIR.
 */
const BOOT = 'mount -t tmpfs tmpfs /run && mkdir -p /run/systemd/system && exec /lib/systemd/systemd --user'

/** Logs in: as root only. @throws Error when it does not answer in time */
export async function startUserManager(env: Environment, timeoutMs = 15_000): Promise<UserManager> {
  const manager = await start('/usr/bin/unshare', ['--mount', '/bin/sh', '-c', BOOT], {
    env: { ...env, SYSTEMD_LOG_TARGET: 'console', SYSTEMD_LOG_LEVEL: 'info', SYSTEMD_COLORS: '0' },
    cwd: '/',
  })
  const systemctl = (...args: string[]) => run(peerPath('systemctl'), ['--user', ...args], { env })
  const stop = async () => void (await manager.stop())
  for (let waited = 0; ; waited += 50) {
    // Not is-system-running, which looks at this side's /run.
    if (/running|degraded/.test((await systemctl('show', '--property=SystemState')).stdout)) return { systemctl, stop }
    if (waited >= timeoutMs) break
    await sleep(50)
  }
  await stop()
  throw new Error(`systemd --user does not answer\n${manager.stderr.text}`)
}
