import { setTimeout as sleep } from 'node:timers/promises'
import type { Tunnel } from '@keytool/tunnel'

/** How long it is waited for what the targets say, in milliseconds: mail servers let strangers wait. */
const PATIENCE = 3_000
const BEAT = 20

/** Waits until the target of every local forward was looked at, or for long enough. Whoever starts it then knows what is dead. */
export async function waitForLook(tunnel: Pick<Tunnel, 'status'>, now: () => number = Date.now): Promise<void> {
  const end = now() + PATIENCE
  while (now() < end) {
    const { state, forwards } = tunnel.status()
    if (state !== 'up' || forwards.every(forward => forward.state !== 'unknown')) return
    await sleep(BEAT)
  }
}
