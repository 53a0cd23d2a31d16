import { basename } from 'node:path'
import { readWhole } from '@keytool/agent/platform'
import { fingerprint, type PublicKey, readAuthorizedKeys, showForeign } from '@keytool/keygen'
import type { Context } from '../../context.js'
import { naming } from '../../files.js'
import { heldKeys, openAgents } from './agents.js'
import { findKeyFiles, usualPlaces } from './key-files.js'
import { readSettings } from './named-files.js'

/** What the keys that are known here are called, by their fingerprints: escaped already. */
export type KnownKeys = ReadonlyMap<string, string>

/**
 * The user's own keys (`~/.ssh`, PuTTY's folder, those that sessions and agent.json name, those agents hold), and the keys
 * of others that a list names.
 * @param list files of public keys, or of the form of authorized_keys
 * @throws KeytoolError `not-found`, `damaged` for a list
 */
export async function readKnownKeys(list: readonly string[], context: Context): Promise<KnownKeys> {
  const known = new Map<string, string>()
  const note = (key: Pick<PublicKey, 'blob'>, name: string) => {
    const print = fingerprint(key)
    if (!known.has(print)) known.set(print, name)
  }
  const { files: named } = await readSettings(context)
  const places = await usualPlaces(
    context,
    named.map(({ path }) => path),
  )
  const { files } = await findKeyFiles(places, 'chance')
  // The private half says more than a `.pub` that somebody may have sent.
  for (const kind of ['private', 'public'] as const) {
    for (const { path, what } of files) if (what.kind === kind && what.public) note(what.public, context.say.path(path))
  }
  for (const agent of await openAgents(context)) {
    for (const key of await heldKeys(agent)) note(key, `in the agent, ${showForeign(key.comment, 40) || 'no comment'}`)
    agent.close()
  }
  for (const path of list) {
    const lines = await naming(path, async () => readAuthorizedKeys(await readWhole(path)))
    for (const { key, line, comment } of lines) {
      if (key) note(key.plain, showForeign(comment, 40) || `${showForeign(basename(path))} line ${line}`)
    }
  }
  return known
}
