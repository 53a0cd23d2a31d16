import type { Context, Run } from '../context.js'
import { installFlags, uninstallFlags } from '../login-flags.js'
import { parse, type Usage } from '../options.js'
import { version } from '../version.js'
import { checkFlags } from './agent/flags.js'
import type { LoginOptions } from './agent/install.js'
import type { AgentOptions } from './agent/options.js'

const placeOptions = [
  ['-s', 'print lines for sh'],
  ['-c', 'print lines for csh'],
  ['-a, --socket <path>', 'the agent that listens there, instead of the one at its fixed place'],
] as const

const usage = {
  command: 'agent',
  takes: '[command...]',
  summary: [
    'Start the agent in the background, unless one answers, and print the lines a shell evaluates.',
    'agent status says whether it runs, agent stop stops it.',
    'agent install has it start at login, agent uninstall takes that back.',
    'agent PROGRAM [ARG...] runs a program with an agent of its own, which ends with it.',
  ].join('\n'),
  examples: ['agent', 'agent -t 8h --idle 30m', 'agent status --json', 'agent install', 'agent -- make deploy'],
  options: [
    ...placeOptions,
    ['-t, --lifetime <time>', 'how long keys are held that are added without a lifetime: 90, 10m, 8h, 1h30m'],
    ['--idle <time>', 'seal keys again that were not used for so long, where their encrypted files were added'],
    ['--upstream <socket>', "serve the keys of another agent, too, under this one's policy"],
    ['-k', 'stop the agent that SSH_AGENT_PID names, or else ours'],
    ['-D', 'stay in the foreground'],
    ['-d', 'the same, as ssh-agent spells it for debugging'],
    ['-T', 'a new agent in a temporary folder, beside any that runs; it keeps no ledger'],
    ['-E, --fingerprint <hash>', 'taken for the sake of ssh-agent: sha256 or md5'],
    ['-P, --providers <patterns>', 'taken for the sake of ssh-agent: no provider is ever loaded'],
    ['-O, --option <option>', 'taken for the sake of ssh-agent, where it is one of its own', 'many'],
    ['-U', "taken for the sake of ssh-agent: other agents' sockets are left alone"],
    ['-u', 'taken for the sake of ssh-agent: a dead socket at the fixed place is replaced by the next start'],
    ['-V', 'print the version'],
  ],
  passThrough: true,
} as const

interface Sub {
  readonly summary: string
  readonly examples?: readonly string[]
  readonly options?: Usage['options']
  readonly load: () => Promise<(options: LoginOptions, context: Context) => Promise<number>>
}

/** The first word, where it is not a program's name. After `--` it always is one. */
const subcommands: Readonly<Record<string, Sub>> = {
  status: {
    summary: 'Say whether the agent runs, where, and whether this shell asks it.',
    load: async () => (await import('./agent/status.js')).showStatus,
  },
  stop: {
    summary: 'Stop the agent. Its keys are gone with it.',
    load: async () => (await import('./agent/stop.js')).stopOurs,
  },
  install: {
    summary: 'Have the agent start at login, and programs of the desktop find it. Done again, it changes nothing.',
    examples: ['agent install', 'agent install --dry-run', 'agent install --kind xdg'],
    options: installFlags,
    load: async () => (await import('./agent/install.js')).installAtLogin,
  },
  uninstall: {
    summary: 'Take back what agent install did.',
    examples: ['agent uninstall', 'agent uninstall --dry-run'],
    options: uninstallFlags,
    load: async () => (await import('./agent/uninstall.js')).uninstallAtLogin,
  },
}

export const run: Run = async (args, context) => {
  // `agent status --json`: what follows a sub-command is ours, what follows a program is the program's.
  const [first = '', ...others] = args
  const sub = Object.hasOwn(subcommands, first) ? subcommands[first] : undefined
  return sub ? runSub(first, sub, others, context) : runAgentItself(args, context)
}

async function runSub(name: string, sub: Sub, args: readonly string[], context: Context): Promise<number> {
  const command = `agent ${name}`
  const { summary, examples = [command], options = placeOptions } = sub
  const parsed = parse<LoginOptions>({ command, summary, examples, options }, args, context)
  return parsed ? (await sub.load())(parsed.options, context) : 0
}

async function runAgentItself(args: readonly string[], context: Context): Promise<number> {
  const parsed = parse<AgentOptions>(usage, args, context)
  if (!parsed) return 0
  const { words, options } = parsed
  const [first = ''] = words
  // `agent -a SOCK status` means the same as `agent status -a SOCK`.
  const sub = !args.includes('--') && Object.hasOwn(subcommands, first) ? subcommands[first] : undefined
  if (sub) return (await sub.load())(options, context)
  checkFlags(options, words)
  if (options.V) {
    context.say.data(`${context.name} ${version}\n`)
    return 0
  }
  if (options.u) return 0
  if (options.k) return (await import('./agent/stop.js')).stopNamed(options, context)
  if (words.length > 0) return (await import('./agent/under.js')).runUnder(words, options, context)
  if (options.D || options.d) return (await import('./agent/foreground.js')).runInForeground(options, context)
  return (await import('./agent/background.js')).startInBackground(options, context)
}
