import { spawn } from 'node:child_process'
import { rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { readIfThere, readPlain, writeWhole } from '@keytool/agent/platform'
import { isKeytoolError, KeytoolError } from '@keytool/keygen'
import { checkSession, type Session, type SessionStore } from '@keytool/tunnel'
import { askYes } from '../../ask.js'
import type { Context } from '../../context.js'
import { keepSession } from './keep.js'

/** In bytes, as a session's file. */
const MAX_SIZE = 1024 * 1024

/**
 * Opens a session's file in the user's editor. A draft lies beside it meanwhile; the session changes only when the draft is
 * a session of the same name. A draft that is none can be opened again at once or by a later call.
 */
export async function editInEditor(name: string, store: SessionStore, context: Context): Promise<number> {
  const path = store.pathOf(name)
  const draft = join(dirname(path), `.${basename(path, '.json')}.draft`)
  const before = await readIfThere(path, MAX_SIZE)
  // Says which names may have been meant.
  if (!before) await store.load(name)
  const old = before && (await readOld(name, store))
  if (await readIfThere(draft, MAX_SIZE)) context.say.note('this is the text that was left over the last time')
  else await writeWhole(draft, before ?? Buffer.alloc(0))
  for (;;) {
    await runEditor(draft, context).catch(async error => {
      // Nothing was written: nothing has to be kept.
      if (before?.equals(await readPlain(draft, MAX_SIZE))) await rm(draft, { force: true })
      throw error
    })
    try {
      const next = readDraft(name, await readPlain(draft, MAX_SIZE))
      const status = await keepSession(old, next, store, context)
      await rm(draft, { force: true })
      return status
    } catch (error) {
      if (!isKeytoolError(error)) throw error
      context.say.error(error)
      if (await askYes('Open it again?', context, true)) continue
      throw new KeytoolError('cancelled', 'the session was not changed', {
        reason: 'your text is kept',
        hint: `${context.name} session edit ${name}`,
      })
    }
  }
}

/** The session as it was; one that is damaged can be mended, one of a newer program can't. */
async function readOld(name: string, store: SessionStore): Promise<Session | undefined> {
  try {
    return await store.load(name)
  } catch (error) {
    if (isKeytoolError(error) && error.code === 'damaged') return undefined
    throw error
  }
}

function readDraft(name: string, bytes: Buffer): Session {
  const session = checkSession(parseJson(bytes.toString('utf8')))
  if (session.name === name) return session
  throw new KeytoolError('usage', `the name can't be changed here: it is ${name}`, {
    hint: `keytool session save ${session.name} ...`,
  })
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new KeytoolError('damaged', 'that is no JSON', { reason: (cause as Error).message, cause })
  }
}

/** $VISUAL and $EDITOR are command lines for the shell, as everywhere; the path is a word of its own. */
async function runEditor(path: string, { env }: Context): Promise<void> {
  const isWindows = process.platform === 'win32'
  const editor = env['VISUAL'] || env['EDITOR'] || (isWindows ? 'notepad' : 'vi')
  const child = isWindows
    ? spawn(`${editor} "${path}"`, { shell: true, stdio: 'inherit', env })
    : spawn('/bin/sh', ['-c', `${editor} "$1"`, 'sh', path], { stdio: 'inherit', env })
  // Ctrl-C is the editor's while it runs.
  process.on('SIGINT', passOver)
  const status = await new Promise<number | null>((resolve, reject) => {
    child.once('error', cause => reject(new KeytoolError('failed', `the editor ${editor} can't be run`, { cause })))
    child.once('exit', resolve)
  }).finally(() => process.off('SIGINT', passOver))
  if (status !== 0) {
    throw new KeytoolError('failed', `the editor ${editor} ended with ${status ?? 'a signal'}`, {
      reason: 'the session was not changed; your text is kept',
      hint: 'set VISUAL or EDITOR to another one',
    })
  }
}

function passOver(): void {}
