import { type ChildProcess, spawn } from 'node:child_process'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

const program = fileURLToPath(new URL('../../packages/cli/dist/keytool.cjs', import.meta.url))

type Cleaner = () => Promise<unknown>

/** Where the demo plays: a home of its own, the programs it starts, and what must be undone at the end. */
export class Stage {
  readonly home: string
  readonly #children = new Set<ChildProcess>()
  readonly #cleaners: Cleaner[] = []
  readonly #watched = new Set<number>()
  #interrupt: (error: Error) => void = () => {}
  readonly #interrupted: Promise<never>
  /** Everything the programs see: nothing of the caller's keys, agent or settings. */
  env: Record<string, string>

  constructor(folder: string) {
    this.home = folder
    const { PATH = '', TERM, LANG, LC_ALL, NO_COLOR } = process.env
    const kept = Object.entries({ TERM, LANG, LC_ALL, NO_COLOR }).filter(
      (entry): entry is [string, string] => !!entry[1],
    )
    this.env = { ...Object.fromEntries(kept), PATH, HOME: folder, XDG_RUNTIME_DIR: join(folder, 'run') }
    this.#interrupted = new Promise((_, reject) => {
      this.#interrupt = reject
    })
    this.#interrupted.catch(() => {})
  }

  async prepare(): Promise<void> {
    await mkdir(join(this.home, 'run'), { mode: 0o700 })
  }

  /** Ends the play at its next breath. */
  interrupt(reason: string): void {
    this.#interrupt(new Error(reason))
  }

  race<T>(play: Promise<T>): Promise<T> {
    return Promise.race([play, this.#interrupted])
  }

  /** A process in the background that we did not start ourselves, but that must not outlive us. */
  watch(pid: number): void {
    this.#watched.add(pid)
  }

  /** Remembers what is to be done at the end. Last in, first out. */
  atEnd(cleaner: Cleaner): void {
    this.#cleaners.push(cleaner)
  }

  async clear(): Promise<void> {
    for (const cleaner of this.#cleaners.splice(0).reverse()) await cleaner().catch(() => {})
    for (const child of this.#children) await endChild(child)
    for (const pid of this.#watched) await endProcess(pid)
  }

  isAnythingRunning(): boolean {
    return [...this.#children].some(isRunning) || [...this.#watched].some(isAlive)
  }

  /** Shows the command and what it prints. Throws unless it ends well. */
  async keytool(...args: string[]): Promise<void> {
    this.show(['keytool', ...args])
    await this.run(process.execPath, [program, ...args])
  }

  /** The same for another program. It gets our own terminal, where there is one, and looks as it does for everybody. */
  async run(command: string, args: readonly string[]): Promise<void> {
    const status = await endOf(this.#spawn(command, args, 'inherit'))
    if (status !== 0) throw new Error(`${[command, ...args].join(' ')} ended with ${status}`)
  }

  /** What a command answers, without showing it. */
  async ask(...args: string[]): Promise<string> {
    const child = this.#spawn(process.execPath, [program, ...args], 'pipe')
    let output = ''
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      output += text
    })
    const status = await endOf(child)
    if (status === 0) return output
    throw new Error(`keytool ${args.join(' ')} ended with ${status}`)
  }

  show(words: readonly string[]): void {
    const shown = words.map(word => word.replace(this.home, '~')).join(' ')
    process.stdout.write(`\n${bold(`$ ${shown}`)}\n`)
  }

  #spawn(command: string, args: readonly string[], stdout: 'pipe' | 'inherit'): ChildProcess {
    const child = spawn(command, args, { env: this.env, cwd: this.home, stdio: ['ignore', stdout, 'inherit'] })
    this.#children.add(child)
    child.once('close', () => this.#children.delete(child))
    return child
  }
}

export function bold(text: string): string {
  return process.stdout.isTTY && !process.env['NO_COLOR'] ? `\u001b[1m${text}\u001b[0m` : text
}

function isRunning(child: ChildProcess): boolean {
  return child.exitCode === null && child.signalCode === null
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

async function endProcess(pid: number): Promise<void> {
  for (let tries = 0; isAlive(pid) && tries < 100; tries++) {
    if (tries === 0) process.kill(pid, 'SIGTERM')
    await sleep(50)
  }
}

async function endChild(child: ChildProcess): Promise<void> {
  if (!isRunning(child)) return
  const end = endOf(child)
  child.kill('SIGTERM')
  await end
}

function endOf(child: ChildProcess): Promise<number | string | null> {
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (status, signal) => resolve(signal ?? status))
  })
}
