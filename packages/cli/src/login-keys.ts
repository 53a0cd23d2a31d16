import { join, resolve } from 'node:path'
import { type Terms, withKeyRule } from '@keytool/agent'
import { readIfThere, writeWhole } from '@keytool/agent/platform'
import { fingerprint, KeytoolError, type PublicKey } from '@keytool/keygen'
import type { Context } from './context.js'

/** Has the agent hold a key, still encrypted, whenever it starts: a rule in agent.json, which the agent follows. */
export async function noteAtLogin(path: string, key: PublicKey, terms: Terms, { places }: Context): Promise<void> {
  if (terms.destinations) {
    throw new KeytoolError('usage', '--for and --at-login do not go together', {
      hint: 'give the key hosts in agent.json instead',
    })
  }
  const policy = join(places.config, 'agent.json')
  const { lifetime, idle, confirm } = terms
  const rule = {
    file: resolve(path),
    fingerprint: fingerprint(key),
    atLogin: true,
    ...(lifetime !== undefined && { lifetime }),
    ...(idle !== undefined && { idle }),
    ...(confirm && { confirm }),
  }
  const old = await readIfThere(policy)
  await writeWhole(policy, withKeyRule(old, rule, policy, places.home), { replace: true })
}
