import { resolve } from 'node:path'
import { KeytoolError } from '@keytool/keygen'
import { formatPlace, parseForward, parseTarget, type Session, SessionStore } from '@keytool/tunnel'
import type { Context, Run } from '../context.js'
import { isThere } from '../files.js'
import { checkDistinct } from '../forwards.js'
import { parse, wholeNumber } from '../options.js'
import { columns } from '../text.js'

interface Sub {
  readonly summary: string
  run(args: readonly string[], context: Context): Promise<number>
}

/** One row a sub-command. */
const subcommands: Readonly<Record<string, Sub>> = {
  save: { summary: 'save where a server is and what is to be forwarded', run: save },
  list: { summary: 'list the saved sessions', run: list },
  show: { summary: 'show one', run: show },
  remove: { summary: 'remove one', run: remove },
}

export const run: Run = async (args, context) => {
  const { name: program, say } = context
  const [name = '', ...others] = args
  const sub = Object.hasOwn(subcommands, name) ? subcommands[name] : undefined
  if (sub) return sub.run(others, context)
  if (name !== '--help' && name !== '-h') {
    const words = Object.keys(subcommands).join(', ')
    throw new KeytoolError(
      'usage',
      name === '' ? `session takes one of: ${words}` : `session has no ${JSON.stringify(name)}`,
      {
        hint: `${program} session --help`,
      },
    )
  }
  const rows = columns(
    Object.entries(subcommands).map(([word, { summary }]) => [`  ${program} session ${word}`, summary]),
  )
  say.data(
    `Usage: ${program} session ${Object.keys(subcommands).join('|')} [...]\n\n${rows.join('\n')}\n\nExample:\n` +
      `  ${program} session save mail hana@example.com -p 229 -L 1110:localhost:110 -L 1025:localhost:25\n`,
  )
  return 0
}

interface SaveOptions {
  host?: string
  port?: string
  user?: string
  charset?: string
  key?: string
  local?: string[]
  remote?: string[]
  dynamic?: string[]
  jump?: string
  force?: boolean
}

async function save(args: readonly string[], context: Context): Promise<number> {
  const usage = {
    command: 'session save',
    takes: '<name> [destination]',
    summary: 'Save a session: where a server is, who logs in, with which key, and what is to be forwarded.',
    examples: [
      'session save mail hana@example.com -p 229 --charset euc-jp -i ~/.ssh/id_ed25519 -L 1110:localhost:110 -L 1025:localhost:25',
    ],
    options: [
      ['--host <host>', 'name or address of the server'],
      ['-p, --port <port>', 'its port (default: 22)'],
      ['-l, --user <user>', 'who logs in (default: who runs this)'],
      ['--charset <charset>', "what the server's programs write, such as euc-jp"],
      ['-i, --key <file>', 'the key to log in with'],
      ['-L, --local <forward>', '[bind:]port:host:hostport, may be given again', 'many'],
      ['-R, --remote <forward>', 'not carried yet', 'many'],
      ['-D, --dynamic <forward>', 'not carried yet', 'many'],
      ['-J, --jump <hosts>', 'hosts on the way; kept, not used yet'],
      ['--force', 'replace a session of this name'],
    ],
  } as const
  const parsed = parse<SaveOptions>(usage, args, context)
  if (!parsed) return 0
  const { options } = parsed
  const [name = '', destination] = parsed.words
  if ((destination === undefined) === (options.host === undefined)) {
    throw new KeytoolError('usage', 'say the host once: [USER@]HOST or --host HOST', {
      hint: `${context.name} session save --help`,
    })
  }
  if (options.key === '') throw new KeytoolError('usage', "the name of the key's file is empty")
  const target = parseTarget(destination ?? options.host ?? '')
  const user = options.user ?? target.user
  const { charset, key, jump } = options
  const session: Session = {
    version: 1,
    name,
    host: target.host,
    port: options.port === undefined ? (target.port ?? 22) : wholeNumber(options.port, '-p', 1, 65535),
    ...(user !== undefined && { user }),
    ...(charset !== undefined && { charset }),
    // A session is used from any folder.
    ...(key !== undefined && { key: resolve(key) }),
    forwards: { local: options.local ?? [], remote: options.remote ?? [], dynamic: options.dynamic ?? [] },
    ...(jump !== undefined && { jump }),
  }
  checkDistinct(session.forwards.local.map(text => parseForward('local', text)))
  const path = await new SessionStore(context.places.config).save(session, { replace: options.force === true })
  context.say.done(`session ${name}  ${context.say.path(path)}`)
  for (const line of describe(session, context)) context.say.line(`  ${line}`)
  if (session.key !== undefined && !(await isThere(session.key))) {
    context.say.note(`${context.say.path(session.key)} is not there yet`)
  }
  if (options.local) context.say.line(`Next: ${context.name} tunnel ${name}`)
  context.say.facts(session)
  return 0
}

async function list(args: readonly string[], context: Context): Promise<number> {
  const usage = { command: 'session list', summary: 'List the saved sessions.', examples: ['session list --json'] }
  if (!parse(usage, args, context)) return 0
  const { sessions, broken } = await new SessionStore(context.places.config).list()
  const rows = sessions.map(session => [session.name, place(session), ...forwardsOf(session)])
  for (const row of columns(rows)) context.say.line(row)
  for (const { error } of broken) context.say.error(error)
  if (sessions.length + broken.length === 0) context.say.note('no session is saved yet')
  context.say.facts(sessions)
  return broken.length > 0 ? 6 : 0
}

async function show(args: readonly string[], context: Context): Promise<number> {
  const usage = {
    command: 'session show',
    takes: '<name>',
    summary: 'Show a session.',
    examples: ['session show mail'],
  }
  const parsed = parse(usage, args, context)
  if (!parsed) return 0
  const session = await new SessionStore(context.places.config).load(parsed.words[0] ?? '')
  for (const line of describe(session, context)) context.say.line(line)
  context.say.facts(session)
  return 0
}

async function remove(args: readonly string[], context: Context): Promise<number> {
  const usage = {
    command: 'session remove',
    takes: '<name>',
    summary: 'Remove a session.',
    examples: ['session remove mail'],
  }
  const parsed = parse(usage, args, context)
  if (!parsed) return 0
  const [name = ''] = parsed.words
  await new SessionStore(context.places.config).remove(name)
  context.say.done(`session ${name} removed; its key and host keys stay`)
  context.say.facts({ removed: name })
  return 0
}

function describe(session: Session, { say }: Context): string[] {
  const rows: string[][] = [['server', place(session)]]
  if (session.charset) rows.push(['charset', session.charset])
  if (session.key) rows.push(['key', say.path(session.key)])
  if (session.jump) rows.push(['by way of', session.jump])
  for (const forward of forwardsOf(session)) rows.push(['forward', forward])
  return columns(rows)
}

function place({ user, host, port }: Session): string {
  return `${user === undefined ? '' : `${user}@`}${host} port ${port}`
}

/** Checked here as on the way in: a file may have been edited. */
function forwardsOf({ forwards }: Session): string[] {
  return forwards.local.map(text => {
    const { bind, port, to } = parseForward('local', text)
    // An address that was written is shown: it decides who can get in.
    const listen = bind === undefined ? String(port) : formatPlace(bind, port)
    return `${listen} -> ${formatPlace(to.host, to.port)}`
  })
}
