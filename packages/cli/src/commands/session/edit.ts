import { KeytoolError } from '@keytool/keygen'
import { formatForward, parseForward, parseTarget, type Session, SessionStore } from '@keytool/tunnel'
import { hasTerminal } from '../../ask.js'
import type { Context, Run } from '../../context.js'
import { parse, type Usage } from '../../options.js'
import { editInEditor } from './editor.js'
import { type FieldOptions, fieldOptions, withFields } from './fields.js'
import { keepSession } from './keep.js'

interface EditOptions extends FieldOptions {
  drop?: string[]
  /** commander's `--no-forwards`. */
  forwards?: boolean
  weakAlgorithms?: boolean
  json?: boolean
  quiet?: boolean
  color?: boolean
}

const usage: Usage = {
  command: 'session edit',
  takes: '<name>',
  summary:
    'Change a session: what the options say takes the place of what was there, forwards are added. Without options its file ' +
    'is opened in your editor ($VISUAL, $EDITOR), and kept only when it is a session still.',
  examples: [
    'session edit mail -p 2222 -L 1143:localhost:143',
    'session edit mail --no-charset --drop 1025:localhost:25',
  ],
  options: [
    ...fieldOptions,
    ['--drop <forward>', 'take a forward out, as it was written, may be given again', 'many'],
    ['--no-forwards', 'take all forwards out that were there'],
    ['--no-user', 'whoever runs this logs in'],
    ['--no-charset', 'bytes pass untouched'],
    ['--no-key', 'no key of its own'],
    ['--no-jump', 'straight to the server'],
    ['--no-proxy-command', 'straight to the server'],
    ['--no-forward-agent', 'keep the agent to this machine'],
    ['--no-host-key-alias', "the server's keys are kept under its own name"],
    ['--no-weak-algorithms', 'take those out that were there'],
  ],
}

export const run: Run = async (args, context) => {
  const parsed = parse<EditOptions>(usage, args, context)
  if (!parsed) return 0
  const [name = ''] = parsed.words
  const store = new SessionStore(context.places.config)
  const {
    json: _json,
    quiet: _quiet,
    color: _color,
    forwards = true,
    weakAlgorithms = true,
    ...options
  } = parsed.options
  // commander sets what has a --no- form alone to true.
  const isAsked = !forwards || !weakAlgorithms || Object.keys(options).length > 0
  if (!isAsked && !hasTerminal(context)) {
    // What is not there can't be edited with options either.
    await store.load(name)
    throw new KeytoolError('usage', 'say what is to be changed: there is no terminal for an editor', {
      hint: `${context.name} session edit --help`,
    })
  }
  if (!isAsked) return editInEditor(name, store, context)
  const old = await store.load(name)
  const { weak, ...others } = old
  const base: Session = {
    ...others,
    ...(weak && weakAlgorithms && { weak }),
    forwards: forwards ? old.forwards : { local: [], remote: [], dynamic: [] },
  }
  return keepSession(old, change(base, options, context), store, context)
}

function change(
  old: Session,
  { drop = [], host, ...options }: FieldOptions & { drop?: string[] },
  context: Context,
): Session {
  const target = host === undefined ? undefined : parseTarget(host)
  return withFields(
    without(old, drop),
    {
      ...(target?.user !== undefined && { user: target.user }),
      ...(target && { host: target.host }),
      ...(target?.port !== undefined && { port: String(target.port) }),
      ...options,
    },
    context,
  )
}

const kinds = ['local', 'remote', 'dynamic'] as const

/** The session without these forwards, in any spelling of theirs. Throws `not-found`. */
function without(session: Session, drop: readonly string[]): Session {
  const { forwards } = session
  const isDropped = (kind: (typeof kinds)[number], text: string) =>
    drop.some(each => each === text || normalize(kind, each) === normalize(kind, text))
  for (const text of drop) {
    const wanted = kinds.some(kind => forwards[kind].some(each => normalize(kind, each) === normalize(kind, text)))
    if (wanted) continue
    throw new KeytoolError('not-found', `${session.name} has no forward ${JSON.stringify(text)}`, {
      reason: 'nothing was changed',
      hint: kinds.flatMap(kind => forwards[kind]).join(', ') || 'it has none at all',
    })
  }
  const kept = (kind: (typeof kinds)[number]) => forwards[kind].filter(text => !isDropped(kind, text))
  return { ...session, forwards: { local: kept('local'), remote: kept('remote'), dynamic: kept('dynamic') } }
}

/** How a forward is written here. */
function normalize(kind: (typeof kinds)[number], text: string): string {
  try {
    return formatForward(parseForward(kind, text))
  } catch {
    // What is none can still be taken out as it stands.
    return text
  }
}
