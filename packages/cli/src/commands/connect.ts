import type { Transform } from 'node:stream'
import { showForeign } from '@keytool/keygen'
import { type Connection, type SessionRequest, terminalCharset } from '@keytool/tunnel'
import type { Context, Run } from '../context.js'
import { logIn } from '../log-in.js'
import { type Destination, resolveDestination, showDestination } from '../reach.js'
import { carry, type Stages } from './connect/carry.js'
import { type Turning, turnCharset } from './connect/charsets.js'
import { type ConnectOptions, readCommandLine, readEscape } from './connect/command-line.js'
import { environmentFor } from './connect/environment.js'
import { type EscapeCommand, Escapes, escapeStream, helpOnEscapes, showEscape } from './connect/escapes.js'
import { type LocalTerminal, openLocalTerminal } from './connect/local-terminal.js'
import { watchSignals } from './connect/signals.js'

/** ssh's answer when the far side does not say how it ended, or was ended by a signal. */
const NO_STATUS = 255

export const run: Run = async (args, context) => {
  const line = readCommandLine(args, context)
  if (!line) return 0
  const { options } = line
  const { stdin, env, say } = context
  // A slip is found before anything is looked up.
  const given = readEscape(options.escape)
  const destination = await resolveDestination(line.destination, options, context)
  const { settings, session } = destination
  const command = line.command ?? settings.remoteCommand
  const ends = { stdin: stdin.isTTY === true, stdout: process.stdout.isTTY, stderr: process.stderr.isTTY }
  const request = wishFor(options, command, settings.requestTty)
  if (request === 'asked' && !ends.stdin) say.note('there is no terminal here, so there is none for the command there')
  const wanted = request === 'forced' || (request !== 'refused' && ends.stdin)
  const terminal = wanted ? openLocalTerminal(stdin, [process.stdout, process.stderr], env) : undefined
  const tell = (text: string) => (terminal ? terminal.tell(`${text}\n`) : say.note(text))
  const turning = await turnCharset(options.charset ?? session?.charset, ends, env, ({ name }) =>
    tell(`${name} lacks some of what you typed: a ? stands for it`),
  )
  const escapeKey = options.escape === undefined && settings.escapeChar ? readEscape(settings.escapeChar) : given
  return converse({ options, command, destination, escapeKey, terminal, turning, tell }, context)
}

type Wish = 'refused' | 'wanted' | 'asked' | 'forced'

/** What ssh_config's RequestTTY says; `auto` leaves it to whether there is a command. */
const wishes = { no: 'refused', yes: 'asked', force: 'forced' } as const

/** Whether a terminal on the far side is wanted: what the options say, then what ssh_config says. */
function wishFor(
  { tty, forceTty }: ConnectOptions,
  command: string | undefined,
  setting: keyof typeof wishes | 'auto' = 'auto',
): Wish {
  if (forceTty) return 'forced'
  if (tty !== undefined) return tty ? 'asked' : 'refused'
  if (setting !== 'auto') return wishes[setting]
  return command === undefined ? 'wanted' : 'refused'
}

/** All that is decided before anything is dialled. */
interface Plan {
  readonly options: ConnectOptions
  /** Absent for a shell. */
  readonly command: string | undefined
  readonly destination: Destination
  /** A byte; `undefined` for no escapes. */
  readonly escapeKey: number | undefined
  readonly terminal: LocalTerminal | undefined
  readonly turning: Turning | undefined
  readonly tell: (text: string) => void
}

async function converse(plan: Plan, context: Context): Promise<number> {
  const { options, destination, terminal } = plan
  const signals = watchSignals()
  try {
    const connection = await logIn(destination, { ...options, tellsBanner: true }, signals.aborted, context)
    try {
      return await talk(connection, plan, signals.aborted, context)
    } finally {
      terminal?.leave()
      await connection.close()
      if (terminal) context.say.note(`connection to ${showDestination(destination)} closed`)
    }
  } catch (error) {
    if (!signals.aborted.aborted) throw error
  } finally {
    signals.stop()
  }
  return signals.status
}

async function talk(connection: Connection, plan: Plan, signal: AbortSignal, context: Context): Promise<number> {
  const { terminal, turning, options } = plan
  // Until there is a session, whoever gives up gives up the connection.
  const giveUp = () => void connection.close()
  signal.addEventListener('abort', giveUp)
  const session = await connection.openSession(describeRequest(plan, context))
  signal.removeEventListener('abort', giveUp)
  // Without a terminal there, Ctrl-C reaches only us: the command should learn of it, too.
  if (!terminal) signal.addEventListener('abort', () => session.signal(String(signal.reason).replace('SIG', '')))
  terminal?.onResize(size => session.resize(size))
  const hungUp = new AbortController()
  const stages: Stages = {
    input: [...escapesFrom(plan, () => hungUp.abort(), context), ...(turning ? [turning.input] : [])],
    output: turning ? [turning.output] : [],
    errors: turning ? [turning.errors] : [],
  }
  terminal?.enter()
  const near = { stdin: context.stdin, stdout: process.stdout, stderr: process.stderr }
  const outcome = await carry(session, near, stages, AbortSignal.any([signal, hungUp.signal]))
  signal.throwIfAborted()
  if (outcome === 'stopped') return NO_STATUS
  // A reader that goes away has what it wanted; other failures are said where they are noticed.
  if ('unread' in outcome) return outcome.unread.code === 'EPIPE' ? 0 : 1
  const { exit } = outcome
  if (options.verbose && exit.signal !== undefined)
    context.say.note(`it was ended by SIG${showForeign(exit.signal, 16)}`)
  return exit.status ?? NO_STATUS
}

function describeRequest(plan: Plan, { env }: Context): SessionRequest {
  const { command, options, destination, terminal, turning } = plan
  const { settings, session } = destination
  // The terminal there erases whole characters only of UTF-8.
  const modes = { ...terminal?.modes, IUTF8: Number((turning?.far ?? terminalCharset(env)).name === 'utf-8') }
  return {
    environment: environmentFor(settings, turning !== undefined, env),
    ...(command !== undefined && { command }),
    ...(terminal && { terminal: { type: terminal.type, size: terminal.size(), modes } }),
    forwardAgent: Boolean(options.forwardAgent ?? session?.forwardAgent ?? settings.forwardAgent),
  }
}

/** The stage that finds escapes in what is typed; none where nobody types. */
function escapesFrom({ escapeKey, terminal, tell }: Plan, hangUp: () => void, { stdin }: Context): Transform[] {
  if (escapeKey === undefined || !terminal || stdin.isTTY !== true) return []
  const shown = showEscape(escapeKey)
  const obey: Readonly<Record<EscapeCommand, () => void>> = {
    end() {
      tell(`${shown}.`)
      hangUp()
    },
    help: () => tell(helpOnEscapes(shown)),
    forwards: () => tell(`${shown}#\nnothing is forwarded`),
    suspend() {
      tell(`${shown}^Z`)
      terminal.suspend()
    },
  }
  return [escapeStream(new Escapes(escapeKey), command => obey[command]())]
}
