import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import type { Readable, Writable } from 'node:stream'
import { homeless } from './home.js'
import { killGroup, type RunResult } from './run.js'

/** Longer than any program that a shell is given here takes. */
const LIMIT_MS = 30_000

/**
 * A small shell that starts programs for us, one after the other. A test process is big, and starting a program from it
 * takes longer than most programs take that only read a key. The shell ends with us: its input ends then.
 */
export class Shell {
  readonly #child: ChildProcessByStdio<Writable, Readable, null>
  readonly #output: string
  #said = ''
  #heard: ((status: number) => void) | undefined
  #failed: ((error: Error) => void) | undefined

  /** @param output a path that is the shell's own; files with ends added to it hold what programs say */
  constructor(output: string) {
    this.#output = output
    this.#child = spawn('/bin/sh', ['-s'], { env: homeless, detached: true, stdio: ['pipe', 'pipe', 'ignore'] })
    this.#child.stdin.on('error', () => {})
    this.#child.stdout.setEncoding('utf8').on('data', (text: string) => {
      this.#said += text
      if (!this.#said.endsWith('\n')) return
      const status = Number(this.#said)
      this.#said = ''
      this.#heard?.(status)
    })
    this.#child.once('error', error => this.#failed?.(error))
    this.#child.once('exit', () => this.#failed?.(new Error('the shell that starts programs has ended')))
  }

  /** Runs one program to its end; the next only after that. Rejects when it takes too long: then the shell is dead. */
  async run(command: readonly string[]): Promise<RunResult> {
    const [out, err] = [`${this.#output}.out`, `${this.#output}.err`]
    const line = `${command.map(quote).join(' ')} </dev/null >${quote(out)} 2>${quote(err)}; echo $?\n`
    const status = await new Promise<number>((resolve, reject) => {
      const timer = setTimeout(() => {
        killGroup(this.#child.pid)
        reject(new Error(`${command.join(' ')} took over ${LIMIT_MS} ms`))
      }, LIMIT_MS)
      const settle =
        <T>(how: (value: T) => void) =>
        (value: T) => {
          clearTimeout(timer)
          this.#heard = this.#failed = undefined
          how(value)
        }
      this.#heard = settle(resolve)
      this.#failed = settle(reject)
      this.#child.stdin.write(line)
    })
    const [stdout, stderr] = await Promise.all([readFile(out, 'utf8'), readFile(err, 'utf8')])
    return { status, signal: null, stdout, stderr }
  }

  /** Lets it end. */
  close(): void {
    this.#child.stdin.end()
  }
}

function quote(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`
}
