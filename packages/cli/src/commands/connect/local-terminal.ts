import { spawnSync } from 'node:child_process'
import { constants } from 'node:os'
import type { Environment } from '@keytool/agent/platform'
import type { TerminalSize } from '@keytool/tunnel'
import { readModes } from './terminal-modes.js'

/** What is used of node's terminals. */
export interface TerminalInput {
  readonly isTTY?: boolean
  setRawMode?(raw: boolean): unknown
}

export interface TerminalOutput {
  readonly isTTY?: boolean
  readonly columns?: number
  readonly rows?: number
  write(text: string): unknown
  on(event: 'resize', listener: () => void): unknown
  off(event: 'resize', listener: () => void): unknown
}

export interface LocalTerminal {
  /** What `TERM` says. */
  readonly type: string
  /** The modes to ask the server for. */
  readonly modes: Readonly<Record<string, number>>
  size(): TerminalSize
  /** Hands every key on and shows every byte as it comes, until {@link LocalTerminal.leave}, whatever ends the process. */
  enter(): void
  /** As it was before. May be called again. */
  leave(): void
  /** Stops this process as Ctrl-Z does, and goes on where it was when the shell says so. */
  suspend(): void
  onResize(listener: (size: TerminalSize) => void): void
  /** Our own words in between, each line from the left. */
  tell(text: string): void
}

const DEFAULT: TerminalSize = { columns: 80, rows: 24 }

/**
 * The terminal that the user sits at.
 * @param stty runs the system's `stty` on standard input and returns what it says
 */
export function openLocalTerminal(
  stdin: TerminalInput,
  outputs: readonly TerminalOutput[],
  env: Environment,
  stty: (...args: string[]) => string = runStty,
): LocalTerminal {
  // The size of the first that is a terminal: standard output may be a file.
  const screen = outputs.find(({ isTTY }) => isTTY === true)
  const size = () => (screen?.columns && screen.rows ? { columns: screen.columns, rows: screen.rows } : DEFAULT)
  let listener: ((size: TerminalSize) => void) | undefined
  let isRaw = false
  const resized = () => listener?.(size())

  const makeRaw = () => {
    stdin.setRawMode?.(true)
    // node leaves the terminal to turn line feeds into new lines, on which full-screen programs would stumble.
    stty('-opost')
  }
  // A shell that had us in the background may have changed it meanwhile.
  const again = () => {
    if (!isRaw) return
    stdin.setRawMode?.(false)
    makeRaw()
    resized()
  }
  const leave = () => {
    if (!isRaw) return
    isRaw = false
    stdin.setRawMode?.(false)
    process.off('exit', leave)
    process.off('SIGCONT', again)
    screen?.off('resize', resized)
  }
  return {
    type: env['TERM'] || 'dumb',
    modes: stdin.isTTY === true ? readModes(stty('-a')) : {},
    size,
    enter() {
      if (isRaw || stdin.isTTY !== true) return
      isRaw = true
      process.on('exit', leave)
      process.on('SIGCONT', again)
      screen?.on('resize', resized)
      makeRaw()
    },
    leave,
    suspend() {
      // Not every system has it.
      if (constants.signals.SIGTSTP === undefined) return
      stdin.setRawMode?.(false)
      process.kill(process.pid, 'SIGTSTP')
      // Where nobody could start us again, the signal does nothing, and no SIGCONT comes.
      setImmediate(again)
    },
    onResize(next) {
      listener = next
    },
    tell(text) {
      const last = outputs.at(-1)
      last?.write(isRaw ? text.replaceAll('\n', '\r\n') : text)
    },
  }
}

/** Nothing where the system has none, or takes longer than it may. */
function runStty(...args: string[]): string {
  const { stdout } = spawnSync('stty', args, {
    stdio: ['inherit', 'pipe', 'ignore'],
    env: { PATH: process.env['PATH'] ?? '', LC_ALL: 'C' },
    timeout: 2000,
    encoding: 'utf8',
  })
  return stdout ?? ''
}
