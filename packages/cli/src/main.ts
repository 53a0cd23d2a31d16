import { isKeytoolError, KeytoolError } from '@keytool/keygen'
import type { Context, Run } from './context.js'
import { createContext } from './context.js'
import { exitStatus } from './exit.js'
import type { OnlineCommand } from './online.js'

interface Entry {
  readonly summary: string
  readonly load: () => Promise<{ run: Run }>
}

/** A command that needs the agent or the network. They ship as a file of their own: the others start without it. */
const online = async (name: OnlineCommand) => (await import('./online.js')).onlineCommands[name]()

/** Every command, in the order `--help` shows them. Each file is loaded when its command runs, and only then. */
const commands: Readonly<Record<string, Entry>> = {
  setup: { summary: 'all of it in one: key, agent, server, session, tunnel', load: () => online('setup') },
  gen: { summary: 'make a key pair', load: () => import('./commands/gen.js') },
  inspect: { summary: 'say what a key file is', load: () => import('./commands/inspect.js') },
  fingerprint: { summary: "print a key's fingerprint", load: () => import('./commands/fingerprint.js') },
  public: { summary: 'print the public half of a key', load: () => import('./commands/public.js') },
  convert: { summary: 'turn a private key into another format', load: () => import('./commands/convert.js') },
  passphrase: { summary: "change a key file's passphrase", load: () => import('./commands/passphrase.js') },
  comment: { summary: "change a key's comment", load: () => import('./commands/comment.js') },
  agent: { summary: 'start, see and stop the agent', load: () => online('agent') },
  add: { summary: 'load keys into the agent', load: () => online('add') },
  list: { summary: "list the agent's keys", load: () => online('list') },
  remove: { summary: 'remove keys from the agent', load: () => online('remove') },
  lock: { summary: 'lock the agent with a passphrase', load: () => online('lock') },
  unlock: { summary: 'unlock the agent, or open a sealed key', load: () => online('unlock') },
  reencrypt: { summary: 'seal keys again', load: () => online('reencrypt') },
  keychain: { summary: "passphrases that the system's keychain keeps", load: () => online('keychain') },
  log: { summary: 'show what signed what, for whom, when', load: () => online('log') },
  'install-pubkey': { summary: 'put a public key on servers', load: () => online('install-pubkey') },
  'remove-pubkey': { summary: 'take a public key off servers', load: () => online('remove-pubkey') },
  rotate: { summary: 'put a new key in the place of an old one on servers', load: () => online('rotate') },
  audit: { summary: 'find what is wrong with keys, here and on servers', load: () => online('audit') },
  compromised: { summary: 'take a key out of every place that knows it', load: () => online('compromised') },
  doctor: { summary: "say why a host can't be reached, and what to do", load: () => online('doctor') },
  session: { summary: 'save, change, import and export sessions', load: () => online('session') },
  'known-hosts': { summary: "list and remove servers' keys", load: () => online('known-hosts') },
  tunnel: { summary: 'hold forwards up, and see and stop what runs', load: () => online('tunnel') },
  connect: { summary: 'a shell or a command on a server, in its charset', load: () => online('connect') },
}

/** Runs the program. Returns the exit status. */
export async function main(argv: readonly string[], program: string): Promise<number> {
  const context = createContext(program)
  const { say } = context
  try {
    const [name, ...args] = argv
    // Whoever wants JSON wants it of an error on a line that can't be read, too.
    const end = argv.indexOf('--')
    say.configure({ json: argv.slice(0, end < 0 ? argv.length : end).includes('--json') })
    if (name === undefined) return await (await online('overview')).run([], context)
    if (name === '--help' || name === '-h' || (name === 'help' && args[0] === undefined)) {
      say.data(helpText(context.name))
      return 0
    }
    if (name === 'help') return await (await find(args[0] ?? '', context).load()).run(['--help'], context)
    if (name === '--version' || name === '-V') {
      say.data(`${context.name} ${(await import('./version.js')).version}\n`)
      return 0
    }
    return await (await find(name, context).load()).run(args, context)
  } catch (error) {
    say.error(error)
    return isKeytoolError(error) ? exitStatus[error.code] : 1
  }
}

function find(name: string, context: Context): Entry {
  const entry = Object.hasOwn(commands, name) ? commands[name] : undefined
  if (entry) return entry
  throw new KeytoolError('usage', `${JSON.stringify(name)} is no command`, { hint: `${context.name} --help` })
}

function helpText(name: string): string {
  const width = Math.max(...Object.keys(commands).map(command => command.length))
  const rows = Object.entries(commands).map(([command, { summary }]) => `  ${command.padEnd(width)}  ${summary}`)
  return [
    `Usage: ${name} COMMAND [...]`,
    '',
    'SSH keys, an agent that serves them, and tunnels that use it.',
    '',
    'Commands:',
    ...rows,
    '',
    `${name} COMMAND --help shows what a command takes, with an example.`,
    `${name} alone says where you stand.`,
    '',
  ].join('\n')
}
