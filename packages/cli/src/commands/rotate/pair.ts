import { resolve } from 'node:path'
import type { AgentClient } from '@keytool/agent'
import { fingerprint, KeytoolError, type PublicKey, type Signer } from '@keytool/keygen'
import { isGoingBack, type Journal, keyIn, type RotatedKey, type RotationStore } from '@keytool/tunnel'
import type { Context } from '../../context.js'
import { isThere, type Unlocking } from '../../files.js'
import { chooseKey } from '../../fleet/chosen-key.js'
import type { RotateOptions } from './options.js'

/** One of the two keys, as far as it is here. */
export interface RotatedHalf {
  readonly key: PublicKey
  /** The private key's file, where one was named: absolute. */
  readonly file?: string
  /** Absent where only the public half is here. */
  readonly signer: Signer | undefined
}

export interface Pair {
  readonly old: RotatedHalf
  readonly new: RotatedHalf
  /** Who logs in where neither of the two can change the file: `-i`. */
  readonly way?: Signer | undefined
}

/**
 * The two keys: the first two words, or those of the one rotation there is. The one that will have to prove itself is opened
 * before any host hears of us.
 * @throws KeytoolError `usage` for a word too few, or one key twice; `not-found` when that one's private half is not here, or
 * there is no rotation; `damaged` and others as `chooseKey`
 */
export async function choosePair(
  words: readonly string[],
  options: RotateOptions,
  store: RotationStore,
  agent: AgentClient | undefined,
  context: Context,
): Promise<Pair> {
  const unlocking = { passphraseFile: options.passphraseFile }
  const forOld = { passphraseFile: options.oldPassphraseFile }
  const isBack = options.rollback === true
  const [oldWord, newWord] = words
  const needs = options.dryRun ? 'neither' : isBack ? 'old' : 'new'
  const when = (which: string) => (needs === which ? 'now' : 'later')
  const choose = async (word: string, which: 'old' | 'new'): Promise<RotatedHalf> => {
    const given = defined(which === 'old' ? forOld : unlocking)
    return named(word, await chooseKey(word, when(which), agent, given, context))
  }
  const pair =
    oldWord !== undefined && newWord !== undefined
      ? { old: await choose(oldWord, 'old'), new: await choose(newWord, 'new') }
      : await pairOf(await onlyJournal(words, options, store, context), agent, { old: forOld, new: unlocking }, context)
  if (pair.old.key.equals(pair.new.key)) {
    throw new KeytoolError('usage', 'OLD and NEW are the same key', {
      reason: fingerprint(pair.old.key),
      hint: `make a new one: ${context.name} gen -f FILE`,
    })
  }
  const needed = needs === 'neither' ? 'new' : needs
  if (!pair[needed].signer) {
    throw new KeytoolError('not-found', `the private half of ${needed === 'new' ? 'NEW' : 'OLD'} is not here`, {
      reason: 'it could not be proved on any host; nothing was changed',
      hint: 'name its file, or load it into the agent',
    })
  }
  if (options.identity === undefined) return pair
  return { ...pair, way: (await chooseKey(options.identity, 'later', agent, {}, context)).signer }
}

function named(word: string, { key, signer }: { key: PublicKey; signer: Signer | undefined }): RotatedHalf {
  return { key, signer, file: resolve(word.replace(/\.pub$/, '')) }
}

async function onlyJournal(
  words: readonly string[],
  { resume, rollback }: RotateOptions,
  store: RotationStore,
  { name, say }: Context,
): Promise<Journal> {
  if (words.length > 0 || !(resume || rollback)) {
    throw new KeytoolError('usage', 'the old key and the new one are wanted', {
      hint: `${name} rotate OLD NEW HOST...`,
    })
  }
  const { journals, broken } = await store.list()
  const wanted = journals.filter(journal => rollback || journal.finished === undefined)
  const [only, another] = wanted
  const [first, ...others] = broken
  // Whether there is one is not known then.
  for (const error of only && first ? broken : others) say.error(error)
  if (!only && first) throw first
  if (only && !another) return only
  if (!only) {
    const what = rollback ? 'there is no rotation to be taken back' : 'no rotation was interrupted'
    throw new KeytoolError('not-found', what, { hint: `${name} rotate OLD NEW HOST...` })
  }
  throw new KeytoolError('usage', `there are ${wanted.length} rotations: name the keys of one`, {
    reason: wanted
      .map(each => [each.old, each.new].map(key => key.file ?? fingerprint(keyIn(key))).join(' '))
      .join('; '),
    hint: `${name} rotate ${rollback ? '--rollback' : '--resume'} OLD NEW`,
  })
}

async function pairOf(
  journal: Journal,
  agent: AgentClient | undefined,
  unlocking: Readonly<Record<'old' | 'new', { readonly passphraseFile: string | undefined }>>,
  context: Context,
): Promise<Pair> {
  const isBack = journal.hosts.some(({ state }) => isGoingBack(state))
  const half = (which: 'old' | 'new') =>
    halfOf(journal[which], isBack === (which === 'old') ? 'now' : 'later', agent, defined(unlocking[which]), context)
  return { old: await half('old'), new: await half('new') }
}

/** A key of a journal: in its file, if that still is it, or in the agent. */
async function halfOf(
  rotated: RotatedKey,
  when: 'now' | 'later',
  agent: AgentClient | undefined,
  unlocking: Unlocking,
  context: Context,
): Promise<RotatedHalf> {
  const key = keyIn(rotated)
  const { file } = rotated
  if (file !== undefined && ((await isThere(file)) || (await isThere(`${file}.pub`)))) {
    const found = await chooseKey(file, when, agent, unlocking, context)
    if (found.key.equals(key)) return { key, file, signer: found.signer }
    context.say.note(
      `${context.say.path(file)} holds another key by now: ${fingerprint(key)} is looked for in the agent`,
    )
  }
  const signer = (await agent?.signers())?.find(each => !each.certificate && each.publicKey.equals(key))
  return { key, signer, ...(file !== undefined && { file }) }
}

function defined({ passphraseFile }: { readonly passphraseFile: string | undefined }): Unlocking {
  return passphraseFile === undefined ? {} : { passphraseFile }
}
