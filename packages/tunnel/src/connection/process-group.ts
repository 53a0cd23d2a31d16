import { setTimeout as sleep } from 'node:timers/promises'

/** How long a group may take to end once it was asked, and how often it is looked at, in milliseconds. */
const PATIENCE = 2000
const LOOK = 50

/**
 * Ends a process group that was started here: SIGHUP and SIGTERM, then SIGKILL. Resolves when nothing of it is left.
 * @param exited settles when its leader has ended
 */
export async function endProcessGroup(pid: number | undefined, exited: Promise<unknown>): Promise<void> {
  if (pid === undefined) return
  for (const signal of ['SIGHUP', 'SIGTERM'] as const) send(pid, signal)
  let isOver = false
  const over = exited.then(() => {
    isOver = true
  })
  const end = performance.now() + PATIENCE
  while (performance.now() < end) {
    if (!send(pid, 0)) return
    // Others of the group may be left when its leader has ended.
    await (isOver ? sleep(LOOK) : Promise.race([over, sleep(LOOK)]))
  }
  send(pid, 'SIGKILL')
  await exited
}

/** Whether there is such a group. One that may not be sent to is not ours any more. */
function send(pid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(-pid, signal)
  } catch {
    return false
  }
}
