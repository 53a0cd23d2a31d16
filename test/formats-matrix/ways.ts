import { keyFormats } from '../../packages/keygen/src/formats/registry.js'
import { protectedBy, type Trial } from './trial.js'

/**
 * How private key files of one format went one way, in words. Types of which the same is true stand together; where all
 * are alike, they are not named.
 */
export function describeWays(trials: readonly Trial[]): string {
  const told = groupBy([...new Set(trials.map(({ type }) => type))], type =>
    describeType(trials.filter(trial => trial.type === type)),
  )
  const [[only] = [''], ...others] = told.filter(([text]) => text !== '')
  if (others.length === 0) return only
  return told.map(([text, types]) => `${types.join(', ')}: ${text}`).join('<br>')
}

/** Which public formats come out as keytool writes them. */
export function describePublic(trials: readonly Trial[], formats: readonly { name: string; title: string }[]): string {
  const same: string[] = []
  const other: string[] = []
  for (const { name, title } of formats) {
    const own = trials.filter(({ format, peer }) => format === name && peer === 'writes')
    const [yes, no] = [isSame(true), isSame(false)].map(test => [...new Set(own.filter(test).map(({ type }) => type))])
    const mixed = yes?.length && no?.length
    if (yes?.length) same.push(mixed ? `${title} (${yes.join(', ')})` : title)
    if (no?.length) other.push(mixed ? `${title} (${no.join(', ')})` : title)
  }
  const sentences = [
    same.length > 0 ? `It writes the same bytes as keytool: ${same.join(', ')}.` : '',
    other.length > 0 ? `It writes other bytes: ${other.join(', ')}.` : '',
  ]
  return sentences.filter(Boolean).join(' ')
}

/** Nothing for a type that did not go over at all. */
function describeType(trials: readonly Trial[]): string {
  const done = trials.filter(({ secret, outcome }) => secret === 'none' && outcome.is === 'done')
  if (done.length === 0) return ''
  return [
    ['in the clear', ...sameBytes(done)].join(', '),
    ...describeKdfs(trials.filter(({ secret }) => secret !== 'none')),
    done.every(({ outcome }) => outcome.is === 'done' && outcome.commentKept) ? 'with the comment' : 'without comment',
  ].join('; ')
}

/** `bcrypt with …`, and what was refused. KDFs of which the same is true stand together. */
function describeKdfs(trials: readonly Trial[]): string[] {
  const told = groupBy([...new Set(trials.map(({ kdf = '' }) => kdf))], kdf =>
    describeCiphers(trials.filter(trial => trial.kdf === kdf)),
  )
  return told.map(([text, kdfs]) => text.replace('KDF', kdfs.join(', ')))
}

function describeCiphers(trials: readonly Trial[]): string {
  const all = keyFormats.find(({ name }) => name === trials[0]?.format)?.ciphers ?? []
  const ciphers = [...new Set(trials.map(({ cipher = '' }) => cipher))].sort((a, b) => all.indexOf(a) - all.indexOf(b))
  const told = ciphers.map(cipher =>
    describeCipher(
      cipher,
      trials.filter(trial => trial.cipher === cipher),
    ),
  )
  const went = told.filter(({ went }) => went).map(({ text }) => text)
  const refused = told.filter(({ went }) => !went).map(({ text }) => text)
  if (went.length === 0) return `not KDF with ${refused.join(', ')}`
  const isAll = all.length > 2 && went.join() === all.join()
  const words = `KDF with ${isAll ? `all ${all.length} ciphers` : went.join(', ')}`
  return refused.length > 0 ? `${words}, not with ${refused.join(', ')}` : words
}

function describeCipher(cipher: string, trials: readonly Trial[]): { went: boolean; text: string } {
  const done = trials.filter(({ outcome }) => outcome.is === 'done')
  const secrets = protectedBy.filter(name => done.some(({ secret }) => secret === name))
  const isSome = secrets.length > 0 && secrets.length < protectedBy.length
  const notes = [...(isSome ? [`${secrets.join()} passphrases only`] : []), ...sameBytes(done)]
  return { went: secrets.length > 0, text: notes.length > 0 ? `${cipher} (${notes.join(', ')})` : cipher }
}

/** Nothing where it can't be told: what is random differs always. */
function sameBytes(done: readonly Trial[]): string[] {
  if (done.length > 0 && done.every(isSame(true))) return ['the same bytes']
  return done.some(isSame(false)) ? ['other bytes'] : []
}

function isSame(verdict: boolean): (trial: Trial) => boolean {
  return ({ outcome }) => (outcome.is === 'alike' ? verdict : outcome.is === 'done' && outcome.identical === verdict)
}

/** The names for which the same text holds, in the order of the first of each. */
function groupBy(names: readonly string[], textOf: (name: string) => string): [text: string, names: string[]][] {
  const groups = new Map<string, string[]>()
  for (const name of names) {
    const text = textOf(name)
    groups.set(text, [...(groups.get(text) ?? []), name])
  }
  return [...groups]
}
