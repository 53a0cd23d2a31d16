import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { leaveDuty } from './duty.js'
import { temporaryFolder } from './folder.js'
import { type Environment, homeless } from './home.js'
import { peerPath } from './peers.js'
import { run, runOrThrow } from './run.js'

export interface TerminalOptions {
  readonly env?: Environment
  readonly cwd?: string
  /** Default 100 columns, 30 rows. */
  readonly cols?: number
  readonly rows?: number
}

/** A program in a real terminal, seen and typed to as a person would. */
export interface Terminal {
  /** Types the characters; `\r` is the Enter key, `\x03` Ctrl-C, `\x04` Ctrl-D. */
  type(text: string): Promise<void>
  /** Presses a key by tmux's name for it: `Up`, `Down`, `BSpace`, `C-t`, … */
  press(key: string): Promise<void>
  /** Makes the window another size. */
  resize(cols: number, rows: number): Promise<void>
  /** What the screen shows now: its rows, without trailing blanks. */
  screen(): Promise<string>
  /** Waits until the screen shows it. Throws with the screen, when the time is over. */
  waitFor(pattern: RegExp, timeoutMs?: number): Promise<RegExpExecArray>
  /** Every byte the program wrote to the terminal, even what was wiped again at once: to prove what never showed. */
  transcript(): Promise<string>
  /** Waits until the program ends: its exit status, or 128 and the number of the signal that ended it. */
  exitStatus(timeoutMs?: number): Promise<number>
  /** Ends the program, if it still runs, and removes the terminal. */
  close(): Promise<void>
}

const PAUSE_MS = 50
const REACTION_MS = 150

/**
 * Around the program: it starts only once all that it writes is recorded, and does not learn that it runs under tmux. Behind
 * all that it wrote comes a mark that no terminal shows: once that is recorded, so is the rest, and the screen shows it.
 * Its status is noted here because tmux 3.3 now and then misses the end of its child. The traps keep the shell itself
 * alive through Ctrl-C; a trap that is not empty does not reach the program.
 */
const wrapper = `
tmux -S "$0" wait-for ready
ended=$1; shift
trap : INT QUIT
env -u TMUX -u TMUX_PANE "$@"
echo $? >"$ended.new"
printf '\\033]7777;ended\\007'
mv "$ended.new" "$ended"
`
const MARK = '\u001b]7777;ended\u0007'

const config = `
set -g status off
set -g remain-on-exit on
set -g remain-on-exit-format ""
set -g default-terminal "screen-256color"
set -sg escape-time 0
set -g history-limit 2000
`

/**
 * Opens a terminal (a tmux of its own, on its own socket) in which the command runs.
 * @param command program and arguments; no shell takes part
 */
export async function openTerminal(command: readonly string[], options: TerminalOptions = {}): Promise<Terminal> {
  const { env = homeless, cwd, cols = 100, rows = 30 } = options
  const folder = await temporaryFolder()
  const socket = join(folder.path, 'tmux')
  const written = join(folder.path, 'written')
  const ended = join(folder.path, 'ended')
  await writeFile(join(folder.path, 'conf'), config)
  await writeFile(written, '')

  const inEnv = { env, ...(cwd === undefined ? {} : { cwd }) }
  const tmux = (...args: string[]) => runOrThrow(peerPath('tmux'), ['-S', socket, ...args], inEnv)
  const guard = leaveDuty('tmux -S "$1" kill-server', socket)
  const close = async () => {
    guard.cancel()
    // Fails only when the server has ended already.
    await run(peerPath('tmux'), ['-S', socket, 'kill-server'], inEnv)
    await folder.dispose()
  }

  const around = ['/bin/sh', '-c', wrapper, socket, ended]
  const size = ['-x', String(cols), '-y', String(rows)]
  try {
    await tmux('-f', join(folder.path, 'conf'), 'new-session', '-d', ...size, ...around, ...command)
    await tmux('pipe-pane', `exec cat >'${written}'`)
    await tmux('wait-for', '-S', 'ready')
  } catch (error) {
    await close()
    throw error
  }

  const screen = async () => (await tmux('capture-pane', '-p')).stdout.trimEnd()
  const recorded = () => readFile(written, 'utf8')

  return {
    async type(text) {
      // A question is shown a moment before its keys are listened for. A person takes longer than that to begin.
      await sleep(REACTION_MS)
      // tmux types control characters by their code only, and the others best as they are.
      for (const part of text.match(/\p{Cc}|\P{Cc}+/gu) ?? []) {
        const code = part.charCodeAt(0)
        if (code < 0x20 || code === 0x7f) await tmux('send-keys', '-H', code.toString(16))
        else await tmux('send-keys', '-l', '--', part)
      }
    },
    async press(key) {
      await tmux('send-keys', key)
    },
    async resize(columns, lines) {
      await tmux('resize-window', '-x', String(columns), '-y', String(lines))
    },
    screen,
    transcript: async () => (await recorded()).replace(MARK, ''),
    async waitFor(pattern, timeoutMs = 20_000) {
      const end = Date.now() + timeoutMs
      for (;;) {
        const shown = await screen()
        const match = new RegExp(pattern.source, pattern.flags.replace(/[gy]/g, '')).exec(shown)
        if (match) return match
        if (Date.now() > end) throw new Error(`no ${pattern} on the screen after ${timeoutMs} ms\n${shown}`)
        await sleep(PAUSE_MS)
      }
    },
    async exitStatus(timeoutMs = 20_000) {
      const end = Date.now() + timeoutMs
      for (;;) {
        const status = await readFile(ended, 'utf8').catch(() => undefined)
        if (status !== undefined && (await recorded()).includes(MARK)) return Number(status)
        if (Date.now() > end) throw new Error(`it still runs after ${timeoutMs} ms\n${await screen()}`)
        await sleep(PAUSE_MS)
      }
    },
    close,
  }
}
