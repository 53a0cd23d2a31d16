import { KeytoolError } from '@keytool/keygen'
import type { Context, Run } from '../context.js'
import { parse } from '../options.js'
import type { AgentOptions } from './agent/options.js'

const usage = {
  command: 'agent',
  takes: '[command...]',
  summary: [
    'Start the agent in the background, unless one answers, and print the lines a shell evaluates. Also:',
    '  agent status   whether it runs, where, and whether this shell asks it',
    '  agent stop     stop it',
    '  agent PROGRAM [ARG...]   run a program with an agent of its own, which ends with it',
  ].join('\n'),
  examples: ['agent', 'agent status --json', 'agent -- make deploy'],
  options: [
    ['-s', 'print lines for sh'],
    ['-c', 'print lines for csh'],
    ['-k', 'stop the agent that SSH_AGENT_PID names, or else ours'],
    ['-a, --socket <path>', 'listen there instead'],
    ['-D', 'stay in the foreground'],
    ['-d', 'the same, as ssh-agent spells it for debugging'],
  ],
  passThrough: true,
} as const

type Sub = (options: AgentOptions, context: Context) => Promise<number>

/** The first word, where it is not a program's name. After `--` it always is one. */
const subcommands: Readonly<Record<string, () => Promise<Sub>>> = {
  status: async () => (await import('./agent/status.js')).showStatus,
  stop: async () => (await import('./agent/stop.js')).stopOurs,
  install: async () => notYet,
  uninstall: async () => notYet,
}

export const run: Run = async (args, context) => {
  // `agent status --json`: what follows a sub-command is ours, what follows a program is the program's.
  const [first = '', ...others] = args
  const sub = Object.hasOwn(subcommands, first) ? await subcommands[first]?.() : undefined
  const parsed = parse<AgentOptions>(usage, sub ? others : args, context)
  if (!parsed) return 0
  const { words, options } = parsed
  if (sub) {
    if (words.length > 0) throw new KeytoolError('usage', `agent ${first} takes no words`)
    return sub(options, context)
  }
  if (options.s && options.c) throw new KeytoolError('usage', '-s and -c contradict each other')
  if (options.k) return (await import('./agent/stop.js')).stopNamed(options, context)
  if (words.length > 0) return (await import('./agent/under.js')).runUnder(words, options, context)
  if (options.D || options.d) return (await import('./agent/foreground.js')).runInForeground(options, context)
  return (await import('./agent/background.js')).startInBackground(options, context)
}

const notYet: Sub = async () => {
  throw new KeytoolError('failed', 'this version does not start the agent at login yet', {
    hint: 'put eval "$(keytool agent)" in your shell\'s start-up file',
  })
}
