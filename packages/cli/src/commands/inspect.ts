import { stat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { listFolder, readPlain, readWhole } from '@keytool/agent/platform'
import {
  findWeaknesses,
  type Inspected,
  inspectKeys,
  isKeytoolError,
  type KeytoolError,
  looksLikeKey,
  type Weakness,
} from '@keytool/keygen'
import type { Run } from '../context.js'
import { forEach } from '../each.js'
import { naming, withCommentBeside } from '../files.js'
import { parse } from '../options.js'
import { type Found, toFacts } from './inspect/facts.js'
import { show, table } from './inspect/show.js'

const usage = {
  command: 'inspect',
  takes: '<file...>',
  summary:
    'Say what each file is: keys and certificates of any format, authorized_keys, known_hosts, signatures, KRLs. Never asks for a passphrase. A folder stands for the key files in it.',
  examples: ['inspect ~/.ssh/id_ed25519', 'inspect ~/.ssh', 'inspect --json old.ppk'],
} as const

export const run: Run = async (args, context) => {
  const parsed = parse(usage, args, context)
  if (!parsed) return 0
  const facts: object[] = []
  const status = await forEach(parsed.words, context, async word => {
    const isTable = await isFolder(word)
    const { found, troubles } = isTable
      ? await inspectFolder(word)
      : { found: await inspectFile(word, readWhole), troubles: [] }
    for (const each of found) facts.push(toFacts(each))
    context.say.line(context.say.path(word))
    if (found.length === 0) context.say.line('  no key in it')
    else if (isTable) table(found, context)
    else for (const each of found) show(each, context)
    const last = troubles.pop()
    for (const trouble of troubles) context.say.error(trouble)
    // The caller says it, and counts it.
    if (last) throw last
  })
  context.say.facts(facts)
  return status
}

/** Everything in one file. */
async function inspectFile(path: string, read: (path: string) => Promise<Buffer>): Promise<Found[]> {
  const bytes = await read(path)
  return naming(path, async () => {
    const found: Found[] = []
    for (const what of await inspectKeys(bytes, { fileName: basename(path) })) {
      found.push({ path, what: await withComment(path, what), warnings: await warningsOf(what) })
    }
    return found
  })
}

/** In a folder much is no key, and that is no error. What begins like one and is damaged, or can't be read, is. */
async function inspectFolder(folder: string): Promise<{ found: Found[]; troubles: KeytoolError[] }> {
  const found: Found[] = []
  const troubles: KeytoolError[] = []
  for (const name of await listFolder(folder)) {
    const path = join(folder, name)
    let bytes: Buffer | undefined
    // Nobody named it: a pipe that takes its place meanwhile keeps nobody waiting.
    const read = async () => (bytes = await readPlain(path))
    try {
      if (!(await stat(path)).isFile()) continue
      for (const each of await inspectFile(path, read)) found.push(each)
    } catch (error) {
      if (isKeytoolError(error) && (bytes ? looksLikeKey(bytes) : error.code === 'failed')) troubles.push(error)
      else if (!isKeytoolError(error) && !(error as NodeJS.ErrnoException).code) throw error
    }
  }
  return { found, troubles }
}

async function warningsOf({ public: key }: Inspected): Promise<readonly Weakness[]> {
  return key ? findWeaknesses(key) : []
}

async function withComment(path: string, what: Inspected): Promise<Inspected> {
  if (what.kind !== 'private' || !what.public) return what
  return { ...what, public: await withCommentBeside(path, what.public) }
}

async function isFolder(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isDirectory() === true
}
