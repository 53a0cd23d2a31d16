import { spawn } from 'node:child_process'

/** How often an agent starts itself again, and within which time a crash counts as another of the same kind. */
const MOST = 3
const MEMORY_MS = 60_000
/** Says to the next one how often that was, and since when. */
const VARIABLE = 'KEYTOOL_AGENT_RESTARTS'

/**
 * Has an agent that is ended by an error of its own start once more, as it was started: with the keys whose encrypted
 * files it held. What was open only is lost, and the next one says so.
 *
 * An agent that is killed is not started again: whoever did that meant it, or a login service sees to it.
 */
export function restartAfterCrash(program: string, argv: readonly string[] = process.argv.slice(2)): void {
  const began = Date.now()
  const before = readCount(process.env[VARIABLE])
  delete process.env[VARIABLE]
  process.once('uncaughtException', error => {
    // Its text may hold anything: what is said is where it was.
    process.stderr.write(`keytool: the agent ends by an error of its own\n${whereOf(error)}`)
    const count = began - before.since < MEMORY_MS ? before.count + 1 : 1
    const since = count === 1 ? began : before.since
    if (count <= MOST) {
      spawn(process.execPath, [...process.execArgv, program, ...argv], {
        detached: true,
        stdio: 'ignore',
        env: { ...process.env, [VARIABLE]: `${count} ${since}` },
        windowsHide: true,
      }).unref()
    }
    process.exit(1)
  })
}

function readCount(text: string | undefined): { readonly count: number; readonly since: number } {
  const [count = 0, since = 0] = (text ?? '').split(' ').map(Number)
  return Number.isSafeInteger(count) && Number.isSafeInteger(since) ? { count, since } : { count: 0, since: 0 }
}

function whereOf(error: Error): string {
  const lines = String(error.stack)
    .split('\n')
    .filter(line => /^\s+at /.test(line))
  return lines.length > 0 ? `${lines.slice(0, 10).join('\n')}\n` : ''
}
