import { fingerprint, isKeytoolError, isPlain, KeytoolError, type PublicKey, showForeign } from '@keytool/keygen'
import type { Context } from '../../context.js'
import { exitStatus } from '../../exit.js'
import type { HostOutcome } from '../member.js'
import { type ForgeApi, type ForgeKey, openForge } from './api.js'
import { type Forge, type ForgeFlags, type Purpose, readForges } from './forge.js'
import { type TokenOptions, withToken } from './token.js'

export interface ForgeOptions extends TokenOptions {
  /** `--title`: what the key is called there. Default: its comment. */
  readonly title?: string
  /** `--signing`: a key that signs commits, not one that logs in. */
  readonly signing?: boolean
  readonly dryRun?: boolean
}

type Flag = readonly [flags: string, help: string]

/** @param does with the key, in the words of `--help` */
const siteFlags = (does: string): readonly Flag[] => [
  ['--github [url]', `${does} the account on GitHub, or on a GitHub of your own at this address`],
  ['--gitlab [url]', 'the same for GitLab'],
  ['--gitea <url>', 'the same for a Gitea or Forgejo'],
]

const tokenFlags: readonly Flag[] = [
  [
    '--token-file <file>',
    'the first line of FILE is the access token (-: standard input; default: keychain, then asked)',
  ],
  ['--remember-token', "keep the token in the system's keychain once it has served"],
]

/** The flags of {@link ForgeFlags} and {@link ForgeOptions}, without `--dry-run`. */
export const forgeFlags: readonly Flag[] = [
  ...siteFlags('put it into'),
  ['--title <title>', "what the key is called there (default: the key's comment)"],
  ['--signing', 'as a key that signs commits there, not one that logs in'],
  ...tokenFlags,
]

/** The same for taking a key out. */
export const removalFlags: readonly Flag[] = [
  ...siteFlags('take it out of'),
  ['--signing', 'the keys that sign commits there, not those that log in'],
  ...tokenFlags,
]

const MAX_TITLE = 255

/**
 * What the flags ask for, checked before anything is sent.
 * @throws KeytoolError `usage`
 */
export function planForges(flags: ForgeFlags & ForgeOptions): readonly Forge[] {
  const forges = readForges(flags)
  const [only, another] = forges
  const stray = (['title', 'signing', 'tokenFile', 'rememberToken'] as const).find(name => flags[name] !== undefined)
  if (!only) {
    if (stray === undefined) return []
    throw new KeytoolError(
      'usage',
      `--${stray.replace(/[A-Z]/g, c => `-${c.toLowerCase()}`)} is for --github, --gitlab, --gitea`,
    )
  }
  if (another && flags.tokenFile !== undefined) {
    throw new KeytoolError('usage', 'one token is not for several servers', {
      hint: 'name one server, or leave out --token-file',
    })
  }
  const { title } = flags
  if (title !== undefined && (title.trim() === '' || title.length > MAX_TITLE || !isPlain(title))) {
    throw new KeytoolError('usage', `--title takes one line of at most ${MAX_TITLE} characters`)
  }
  // Where there are no such keys, nobody is asked for a token.
  if (flags.signing) for (const forge of forges) openForge(forge, 'signing', '')
  return forges
}

/**
 * Puts a key into the account that the token is for, exactly once, and looks whether it is there.
 * @throws KeytoolError `secret-needed`, `secret-wrong`, `refused` for a token without the right, `exists` for a key that is
 *   another account's, `unreachable`, `unsupported` for what is no such API
 */
export function installOnForge(
  forge: Forge,
  key: PublicKey,
  options: ForgeOptions,
  context: Context,
): Promise<HostOutcome> {
  const purpose: Purpose = options.signing ? 'signing' : 'login'
  const title = titleFor(key, options)
  return withToken(forge, options, context, async token => {
    const api = openForge(forge, purpose, token, context.leaving)
    const there = find(await api.list(), key)
    if (there) return present(forge, there, purpose)
    if (options.dryRun) return outcome(forge, 'would-add', `would be added as ${JSON.stringify(showForeign(title))}`)
    const isOurs = await add(api, key, title)
    const now = find(await api.list(), key)
    if (!now) {
      throw new KeytoolError('failed', `${forge.name} took the key and does not list it`, {
        reason: 'it may be waiting for somebody to approve it',
        hint: 'look at the keys in the settings there',
      })
    }
    return isOurs ? outcome(forge, 'added', `added as ${called(now)}, and listed there`) : present(forge, now, purpose)
  })
}

/** Takes a key out of the account. One that is not there is no failure. */
export function removeFromForge(
  forge: Forge,
  key: PublicKey,
  options: ForgeOptions,
  context: Context,
): Promise<HostOutcome> {
  return withToken(forge, options, context, async token => {
    const api = openForge(forge, options.signing ? 'signing' : 'login', token, context.leaving)
    const there = (await api.list()).filter(each => isSame(each, key))
    const [first] = there
    if (!first) return outcome(forge, 'absent', 'is not there')
    if (options.dryRun) return outcome(forge, 'would-remove', `${called(first)} would be removed`)
    for (const { id } of there) await api.remove(id)
    if (find(await api.list(), key)) throw new KeytoolError('failed', `${forge.name} still lists the key`)
    return outcome(forge, 'removed', `${called(first)} removed, and not listed any more`)
  })
}

/**
 * Does the same on each forge, one after the other, as `overHosts` does on hosts: what goes wrong is said and becomes the
 * outcome; only a question that was left ends all.
 */
export async function overForges(
  forges: readonly Forge[],
  context: Context,
  work: (forge: Forge) => Promise<HostOutcome>,
): Promise<readonly HostOutcome[]> {
  const outcomes: HostOutcome[] = []
  for (const forge of forges) {
    try {
      outcomes.push(await work(forge))
    } catch (error) {
      if (!isKeytoolError(error) || error.code === 'cancelled') throw error
      context.say.error(error)
      const code = exitStatus[error.code]
      outcomes.push({ host: forge.name, state: 'failed', code, detail: showForeign(error.message) })
    }
  }
  return outcomes
}

/** @returns whether it was us: somebody else may have added it a moment ago, and a lost answer does not mean a lost request */
async function add(api: ForgeApi, key: PublicKey, title: string): Promise<boolean> {
  try {
    await api.add(key, title)
    return true
  } catch (error) {
    if (!isKeytoolError(error) || !['exists', 'unreachable'].includes(error.code)) throw error
    const now = await api.list().then(
      keys => find(keys, key),
      () => undefined,
    )
    if (!now) throw error
    return error.code === 'unreachable'
  }
}

/** It was there. GitLab has it once, for one purpose or for both. */
function present(forge: Forge, there: ForgeKey, purpose: Purpose): HostOutcome {
  if (there.purposes.includes(purpose)) return outcome(forge, 'present', `was there already as ${called(there)}`)
  const only = purpose === 'login' ? 'signing' : 'logging in'
  throw new KeytoolError('exists', `${forge.name} has this key already, for ${only} only`, {
    reason: `it stands there as ${called(there)}; what a key is for can't be changed`,
    hint: 'remove it in the settings there, then again',
  })
}

function find(keys: readonly ForgeKey[], key: PublicKey): ForgeKey | undefined {
  return keys.find(each => isSame(each, key))
}

function isSame(each: ForgeKey, key: PublicKey): boolean {
  return each.key?.blob.equals(key.blob) === true
}

function called({ title, id }: ForgeKey): string {
  return title === '' ? `number ${id}` : JSON.stringify(showForeign(title, 80))
}

function titleFor(key: PublicKey, { title }: ForgeOptions): string {
  const comment = key.comment.trim()
  return title ?? (comment !== '' && comment.length <= MAX_TITLE && isPlain(comment) ? comment : fingerprint(key))
}

function outcome({ name }: Forge, state: string, detail: string): HostOutcome {
  return { host: name, state, code: 0, detail }
}
