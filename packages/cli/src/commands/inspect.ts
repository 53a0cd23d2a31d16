import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { listFolder } from '@keytool/agent/platform'
import {
  fingerprintLine,
  type Inspected,
  inspectKeys,
  isKeytoolError,
  type KeyFacts,
  keyFormats,
  showForeign,
} from '@keytool/keygen'
import type { Context, Run } from '../context.js'
import { forEach } from '../each.js'
import { withCommentBeside, withFile } from '../files.js'
import { keyFacts } from '../key-facts.js'
import { parse } from '../options.js'
import { describeProtection } from '../protection.js'

const usage = {
  command: 'inspect',
  takes: '<file...>',
  summary: 'Say what each file is. Never asks for a passphrase. A folder stands for the key files in it.',
  examples: ['inspect ~/.ssh/id_ed25519', 'inspect --json ~/.ssh'],
} as const

export const run: Run = async (args, context) => {
  const parsed = parse(usage, args, context)
  if (!parsed) return 0
  const facts: object[] = []
  const status = await forEach(parsed.words, context, async word => {
    if (await isFolder(word)) {
      for (const name of await listFolder(word)) await inspectInFolder(join(word, name), facts, context)
    } else {
      await inspectFile(word, facts, context)
    }
  })
  context.say.facts(facts)
  return status
}

async function inspectFile(path: string, facts: object[], context: Context): Promise<void> {
  await withFile(path, async bytes => {
    for (const found of inspectKeys(bytes)) {
      const shown = await withComment(path, found)
      facts.push(toFacts(path, shown))
      show(path, shown, context)
    }
  })
}

/** In a folder much is no key, and that is no error. */
async function inspectInFolder(path: string, facts: object[], context: Context): Promise<void> {
  try {
    if (!(await stat(path)).isFile()) return
    await inspectFile(path, facts, context)
  } catch (error) {
    if (!isKeytoolError(error) && !(error as NodeJS.ErrnoException).code) throw error
  }
}

async function withComment(path: string, found: Inspected): Promise<Inspected> {
  if (found.kind === 'public' || !found.public) return found
  return { ...found, public: await withCommentBeside(path, found.public) }
}

function toFacts(path: string, found: Inspected): object {
  return {
    path,
    kind: found.kind,
    format: found.format,
    ...(found.public && keyFacts(found.public)),
    encrypted: found.kind === 'private' && found.encrypted,
    ...(found.kind === 'private' && { cipher: found.cipher, kdf: found.kdf }),
  }
}

function show(path: string, found: Inspected, { say }: Context): void {
  say.line(say.path(path))
  say.line(`  ${found.kind} key, ${titleOf(found)}${found.kind === 'private' ? `, ${protection(found)}` : ''}`)
  if (found.public) say.line(`  ${showForeign(fingerprintLine(found.public))}`)
}

/** The format's name for people; `--json` has the one for programs. */
function titleOf({ format }: Inspected): string {
  return keyFormats.find(({ name }) => name === format)?.title ?? format
}

function protection(found: KeyFacts): string {
  return found.encrypted ? describeProtection(found) : 'not encrypted: whoever has the file has the key'
}

async function isFolder(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isDirectory() === true
}
