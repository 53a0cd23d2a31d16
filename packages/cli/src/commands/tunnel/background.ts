import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import type { Readable, Writable } from 'node:stream'
import { nodeArguments, withoutNodeVariables } from '@keytool/agent/platform'
import { type ErrorCode, isKeytoolError, KeytoolError } from '@keytool/keygen'
import { askTunnel } from '@keytool/tunnel'
import { askSecret, askText, hasTerminal } from '../../ask.js'
import { type Context, leavingWith } from '../../context.js'
import { alreadyRunning } from './already-running.js'
import { CHILD, type FromChild, type Question, type Report, type ToChild } from './child.js'
import { defaultLog } from './hold.js'
import type { Plan } from './plan.js'

/**
 * Starts a tunnel that outlives us, and returns once every forward carries. What it has to ask it asks through us.
 * @throws KeytoolError what kept it from that
 */
export async function holdInBackground(plan: Plan, args: readonly string[], context: Context): Promise<number> {
  const { say, places } = context
  const { key, flags } = plan
  const running = await askTunnel(places, key).catch(() => undefined)
  if (running) return alreadyRunning(plan, running, context)
  const child = start(plan, withoutBackground(args), context)
  const relays = {
    stdout: relay(child.stdout, process.stdout),
    stderr: relay(child.stderr, process.stderr),
  }
  const over = new AbortController()
  const end = () => child.kill()
  for (const signal of signals) process.on(signal, end)
  try {
    const report = await listen(child, leavingWith(context, over.signal))
    // The process is gone before its failure is told, and what it said stands before that.
    if ('error' in report && child.exitCode === null && child.signalCode === null) await once(child, 'exit')
    await Promise.all([relays.stdout(report.written.stdout), relays.stderr(report.written.stderr)])
    if ('error' in report) {
      const { code, message, ...details } = report.error
      // Two starts at the same instant: the other one won. Or it is something else that is there.
      const winner = code === 'exists' ? await askTunnel(places, key).catch(() => undefined) : undefined
      if (winner) return alreadyRunning(plan, winner, context)
      throw new KeytoolError(code as ErrorCode, message, details)
    }
    say.line(`in the background (pid ${report.pid}); log: ${say.path(flags.log ?? defaultLog(plan, context))}`)
    return 0
  } finally {
    over.abort()
    for (const signal of signals) process.off(signal, end)
    child.stdout?.destroy()
    child.stderr?.destroy()
    if (child.connected) child.disconnect()
    child.unref()
  }
}

/** A terminal that is closed does not end it: it may be up the next moment. */
const signals = ['SIGINT', 'SIGTERM'] as const

function start({ flags }: Plan, args: readonly string[], context: Context): ChildProcess {
  const readsInput = flags.passwordFile === '-' || flags.passphraseFile === '-'
  return spawn(process.execPath, [...nodeArguments(), context.program, 'tunnel', ...args], {
    detached: true,
    // It keeps no terminal and no pipe of ours busy once it is up: what it says until then is said here.
    stdio: [readsInput ? 'inherit' : 'ignore', 'pipe', 'pipe', 'ipc'],
    env: { ...withoutNodeVariables(context.env), [CHILD]: hasTerminal(context) ? 'asks' : 'alone' },
    serialization: 'advanced',
    windowsHide: true,
  })
}

function withoutBackground(args: readonly string[]): string[] {
  const end = args.indexOf('--')
  return args.filter((word, index) => word !== '--background' || (end >= 0 && index > end))
}

/** Passes on what the child says. Returns what waits until so many bytes were passed on. */
function relay(from: Readable | null, to: Writable): (bytes: number) => Promise<void> {
  let passed = 0
  let isOver = from === null
  let look = () => {}
  from?.on('data', (chunk: Buffer) => {
    passed += chunk.length
    to.write(chunk)
    look()
  })
  from?.once('close', () => {
    isOver = true
    look()
  })
  return bytes =>
    new Promise(resolve => {
      look = () => {
        if (isOver || passed >= bytes) resolve()
      }
      look()
    })
}

/** Answers the child's questions until it reports. */
function listen(child: ChildProcess, context: Context): Promise<Report> {
  let question = new AbortController()
  return new Promise((resolve, reject) => {
    child.on('message', (message: FromChild) => {
      if ('withdraw' in message) return question.abort()
      if (!('ask' in message)) return resolve(message)
      question = new AbortController()
      answer(message, leavingWith(context, question.signal)).then(reply => send(child, reply))
    })
    child.once('error', cause => reject(new KeytoolError('failed', 'the tunnel could not be started', { cause })))
    child.once('close', (code, signal) => {
      const how = signal ?? `status ${code}`
      // Its own words were said on the way.
      reject(new KeytoolError(signal ? 'cancelled' : 'failed', `the tunnel ended with ${how} before it was up`))
    })
  })
}

/** A child that has ended meanwhile is no failure of ours: how it ended is told elsewhere. */
function send(child: ChildProcess, reply: ToChild): void {
  if (child.connected) child.send(reply, () => {})
}

async function answer({ ask, prompt, isShown, fallback }: Question, context: Context): Promise<ToChild> {
  try {
    if (ask === 'text') return { answer: Buffer.from(await askText(prompt, context, fallback)) }
    return { answer: await askSecret(prompt, '', context, isShown) }
  } catch (error) {
    return { cancelled: isKeytoolError(error) ? error.message : String(error) }
  }
}
