import { resolve } from 'node:path'
import { KeytoolError } from '@keytool/keygen'
import {
  formatPuttyRegistry,
  formatPuttySession,
  formatSshConfig,
  notInSshConfig,
  puttyFromSession,
  type Session,
  SessionStore,
} from '@keytool/tunnel'
import type { Context, Run } from '../../context.js'
import { parse, type Usage } from '../../options.js'
import { writeResult } from '../../output.js'

interface Written {
  readonly bytes: Buffer
  /** How its bytes are read as text; a mark in front is none of it. */
  readonly encoding?: 'utf-16le'
  /** What the other program can't do with it, by session. */
  readonly leftOut: readonly { readonly name: string; readonly what: readonly string[] }[]
}

type Write = (sessions: readonly Session[]) => Written

const hint = 'session export NAME --format ssh_config or reg'

/** One row a format. */
const formats: Readonly<Record<string, Write>> = {
  ssh_config: sessions => ({
    bytes: Buffer.from(sessions.map(formatSshConfig).join('\n')),
    leftOut: sessions.map(session => ({ name: session.name, what: notInSshConfig(session) })),
  }),
  reg: sessions => {
    const all = sessions.map(puttyFromSession)
    return {
      bytes: formatPuttyRegistry(all),
      encoding: 'utf-16le',
      leftOut: all.map(({ name, leftOut }) => ({ name, what: leftOut })),
    }
  },
  putty: sessions => {
    const [only, ...others] = sessions.map(puttyFromSession)
    if (!only || others.length > 0) {
      throw new KeytoolError('usage', "PuTTY's files on Unix hold one session each: name one", {
        hint: 'session export NAME --format putty -o ~/.putty/sessions/NAME',
      })
    }
    return { bytes: formatPuttySession(only), leftOut: [{ name: only.name, what: only.leftOut }] }
  },
}

const usage: Usage = {
  command: 'session export',
  takes: '[names...]',
  summary:
    "Write sessions for other programs: ssh_config for ssh, reg for PuTTY on Windows, putty for a file of PuTTY's on Unix. " +
    'What the other program has no word for is said.',
  examples: [
    'session export mail --format ssh_config >> ~/.ssh/config',
    'session export --all --format reg -o sessions.reg',
  ],
  options: [
    ['--format <format>', `${Object.keys(formats).join(', ')} (default: ssh_config)`],
    ['--all', 'every session'],
    ['-o, --output <file>', 'where to (default: standard output)'],
    ['--force', 'replace the file'],
  ],
}

export const run: Run = async (args, context) => {
  const parsed = parse<{ format?: string; all?: boolean; output?: string; force?: boolean }>(usage, args, context)
  if (!parsed) return 0
  const { format = 'ssh_config', all = false, output, force = false } = parsed.options
  const write = Object.hasOwn(formats, format) ? formats[format] : undefined
  if (!write) {
    throw new KeytoolError('usage', `there is no format ${JSON.stringify(format)}`, {
      hint: `--format ${Object.keys(formats).join(', ')}`,
    })
  }
  const sessions = await choose(parsed.words, all, context)
  const { bytes, encoding = 'utf-8', leftOut } = write(sessions)
  const isFile = output !== undefined && output !== '-'
  if (isFile || !context.say.json) await writeResult(bytes, { path: output, mode: 0o600, force }, context)
  for (const { name, what } of leftOut) {
    if (what.length > 0)
      context.say.note(`${name}: ${what.join('; ')}: ${format === 'ssh_config' ? 'ssh' : 'PuTTY'} has no word for that`)
  }
  const where = isFile ? { path: resolve(output) } : { text: new TextDecoder(encoding).decode(bytes) }
  context.say.facts({ format, ...where, leftOut: leftOut.filter(({ what }) => what.length > 0) })
  return 0
}

async function choose(names: readonly string[], all: boolean, { places }: Context): Promise<Session[]> {
  const store = new SessionStore(places.config)
  if (all === names.length > 0) throw new KeytoolError('usage', 'name the sessions, or say --all', { hint })
  if (!all) return Promise.all([...new Set(names)].map(name => store.load(name)))
  const { sessions, broken } = await store.list()
  const [first] = broken
  if (first) throw first.error
  if (sessions.length === 0) throw new KeytoolError('not-found', 'no session is saved yet')
  return [...sessions]
}
