import { closeSync, constants, openSync } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { setImmediate, setTimeout } from 'node:timers/promises'
import { ReadStream } from 'node:tty'
import { KeytoolError } from '@keytool/keygen'
import { clearReadBuffer } from '../platform/read-buffer.js'
import { isInForeground } from './foreground.js'
import { LineTyped } from './line-typed.js'
import { PATIENCE, type Patience, type Prompter, withPatience } from './prompter.js'
import { Turns } from './turns.js'

export interface TerminalOptions {
  /** Default: the terminal that controls this process. */
  readonly path?: string
  readonly patience?: Patience
  /** Whether the terminal may be used now. */
  readonly isOurs?: () => Promise<boolean>
}

/** It must not become the terminal that controls this process, where there is none. */
const ACCESS = constants.O_RDWR | (constants.O_NOCTTY ?? 0)
/** Keys that were typed before the question stood there are no answer to it. They arrive within so many milliseconds. */
const SETTLE = 30

/**
 * Asks on the terminal that the agent was started on: for one that runs in the foreground. One question at a time; the
 * others wait in line. What is typed of a passphrase is not shown. Ctrl-C, Ctrl-D and the end of the terminal say no.
 *
 * Windows: nobody can be asked this way.
 */
export function createTerminal(options: TerminalOptions = {}): Prompter {
  const { path = '/dev/tty', patience = PATIENCE, isOurs = isInForeground } = options
  const turns = new Turns(1)

  function ask<T>(
    question: Question,
    ms: number,
    signal: AbortSignal,
    read: (line: Buffer) => T,
  ): Promise<T | undefined> {
    return turns.take('the terminal', signal, () =>
      withPatience(signal, ms, async ended => {
        if (process.platform === 'win32' || !(await isOurs())) return undefined
        const output = await openOutput(path)
        return output && read(await askOnce(path, output, question, ended))
      }),
    )
  }

  return {
    name: 'terminal',
    confirm: (text, signal) =>
      ask({ text: `${text} [yes/NO] `, echo: true }, patience.confirm, signal, line => {
        const isYes = line.toString('latin1').trim().toLowerCase() === 'yes'
        line.fill(0)
        return isYes
      }),
    passphrase: (text, signal) => ask({ text: `${text}: `, echo: false }, patience.passphrase, signal, line => line),
  }
}

interface Question {
  readonly text: string
  readonly echo: boolean
}

/** One line, typed after the question. Rejects with the signal's reason, `cancelled` when the user says no. */
async function askOnce(
  path: string,
  output: FileHandle,
  { text, echo }: Question,
  signal: AbortSignal,
): Promise<Buffer> {
  // One after the other: each is written in a thread. A terminal that is stopped takes nothing, and nobody waits for it.
  let writing: Promise<unknown> = Promise.resolve()
  const write = (text: string) => {
    writing = writing.then(() => output.write(text)).catch(() => undefined)
  }
  try {
    const input = openInput(path)
    try {
      input.setRawMode(true)
      await discardTyped(input)
      write(`\n${text}`)
      return await readLine(input, signal, shown => {
        if (echo) write(shown)
      })
    } finally {
      if (!input.destroyed) input.setRawMode(false)
      await new Promise(resolve => input.once('close', resolve).destroy())
      write(signal.aborted ? `\n${(signal.reason as Error).message}\n` : '\n')
    }
  } finally {
    void writing.then(() => output.close()).catch(() => undefined)
  }
}

/** A descriptor of its own: the stream closes it, which a FileHandle would not forgive. */
function openInput(path: string): ReadStream {
  let file: number | undefined
  try {
    file = openSync(path, ACCESS)
    return new ReadStream(file)
  } catch (cause) {
    if (file !== undefined) closeSync(file)
    throw new KeytoolError('failed', 'the terminal does not work', { cause })
  }
}

async function discardTyped(input: ReadStream): Promise<void> {
  const drop = (chunk: Buffer) => chunk.fill(0)
  const ignore = () => undefined
  input.on('data', drop).on('error', ignore)
  await setTimeout(SETTLE)
  // Where this process was kept from its loop for longer than that, they are there and not read yet: that is the next phase.
  await setImmediate()
  input.off('data', drop)
}

function readLine(input: ReadStream, signal: AbortSignal, show: (text: string) => void): Promise<Buffer> {
  const typed = new LineTyped()
  return new Promise<Buffer>((resolve, reject) => {
    const leave = () => reject(signal.reason)
    if (signal.aborted) leave()
    if (input.destroyed || input.readableEnded) reject(gone())
    signal.addEventListener('abort', leave, { once: true })
    input.on('error', () => reject(gone()))
    input.once('end', () => reject(gone()))
    input.once('close', () => reject(gone()))
    input.on('data', (chunk: Buffer) => {
      clearReadBuffer()
      let shown = ''
      for (const byte of chunk) {
        const { event, shown: more = '' } = typed.push(byte)
        shown += more
        if (event === 'refused') reject(new KeytoolError('cancelled', 'stopped at the prompt'))
        if (event === 'done') resolve(typed.take())
        if (event) break
      }
      if (shown) show(shown)
      chunk.fill(0)
    })
  }).finally(() => typed.wipe())
}

/** `undefined` where there is none. */
async function openOutput(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, ACCESS)
  } catch {
    return undefined
  }
}

function gone(): KeytoolError {
  return new KeytoolError('cancelled', 'the terminal is gone')
}
