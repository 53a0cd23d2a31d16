import { stat } from 'node:fs/promises'
import { isKeytoolError } from '@keytool/keygen'
import { KnownHosts, readSshConfig, SessionStore } from '@keytool/tunnel'
import type { Context } from '../../../context.js'
import { defaultKeyFiles } from '../../../signers.js'
import { count } from '../../../text.js'
import type { Check, Found } from './check.js'

/** Whether ssh_config can be read. What it says of one host is looked at with that host. */
export const checkConfig: Check = async ({ places, env, say }) => {
  try {
    const { files } = await readSshConfig({ host: 'localhost', localUser: '', home: places.home }, { env })
    return { text: files.length === 0 ? 'none' : files.map(file => say.path(file)).join(', ') }
  } catch (error) {
    return { ...broken(error), cause: 'settings', advice: 'correct it', remedy: 'vi ~/.ssh/config' }
  }
}

export const checkKnownHosts: Check = async ({ places }) => {
  try {
    return { text: count((await new KnownHosts({ home: places.home }).entries()).length, 'key') }
  } catch (error) {
    return { ...broken(error), cause: 'known-hosts' }
  }
}

/** As ssh wants it: nobody else changes the folder, and nobody else reads a private key. */
export const checkModes: Check = async context => {
  const { places, say } = context
  const own = process.getuid?.()
  const folder = await stat(places.ssh).catch(() => undefined)
  if (!folder) return { text: 'not there yet' }
  if (own === undefined) return { text: 'modes are not looked at on this system' }
  if (folder.uid !== own) {
    return {
      text: 'belongs to another user',
      cause: 'ssh-modes',
      remedy: `sudo chown -R ${own} ${say.word(places.ssh)}`,
    }
  }
  if ((folder.mode & 0o022) !== 0) {
    const remedy = `chmod 700 ${say.word(places.ssh)}`
    return { text: `others may write to it (mode ${octal(folder.mode)})`, cause: 'ssh-modes', remedy }
  }
  for (const path of await defaultKeyFiles(context)) {
    const { mode } = await stat(path)
    if ((mode & 0o077) === 0) continue
    const text = `others may read ${say.path(path)} (mode ${octal(mode)})`
    return { text, cause: 'ssh-modes', remedy: `chmod 600 ${say.word(path)}` }
  }
  return { text: `nobody else's (mode ${octal(folder.mode)})` }
}

export const checkSessions: Check = async ({ places, say, name }: Context) => {
  try {
    const { sessions, broken: bad } = await new SessionStore(places.config).list()
    const [first] = bad
    if (!first) return { text: count(sessions.length, 'session') }
    const remedy = `${name} session edit ${say.word(first.name)}`
    return {
      ...broken(first.error),
      text: `${first.name} can't be read`,
      cause: 'session',
      advice: 'correct it',
      remedy,
    }
  } catch (error) {
    return { ...broken(error), cause: 'session' }
  }
}

function broken(error: unknown): Pick<Found, 'text' | 'evidence'> {
  if (!isKeytoolError(error)) throw error
  const { message, reason } = error
  return { text: message, evidence: [message, ...(reason === undefined ? [] : [reason])] }
}

function octal(mode: number): string {
  return (mode & 0o7777).toString(8).padStart(4, '0')
}
