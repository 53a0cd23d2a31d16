import { resolve } from 'node:path'
import {
  type AgentClient,
  createHosts,
  type Destination,
  type Keychain,
  type KeyRule,
  parseDestination,
  resolveDestination,
  SealedKey,
  type Terms,
} from '@keytool/agent'
import { fingerprintLine, isKeytoolError, KeytoolError, type PublicKey, showForeign } from '@keytool/keygen'
import { isOurs, openAgent } from '../agent-link.js'
import { certificateBeside } from '../certificate-beside.js'
import type { Context, Run } from '../context.js'
import { parseDuration } from '../duration.js'
import { forEach } from '../each.js'
import { type Unlocking, withCommentBeside, withFile } from '../files.js'
import { refuseLocked } from '../held-keys.js'
import { keyFacts } from '../key-facts.js'
import { keychainToFill, openKeychain } from '../keychain.js'
import { checkAtLogin, noteAtLogin, readRules } from '../login-keys.js'
import { parse } from '../options.js'
import { findRemembering, remember, store } from '../remembered.js'
import { defaultKeyFiles } from '../signers.js'
import { describeTerms } from '../terms.js'
import { warnOf } from '../warn.js'
import { type OpenedHere, openHere, readSealed } from './add/open.js'

interface AddFlags extends Unlocking {
  readonly lifetime?: string
  readonly idle?: string
  readonly confirm?: boolean
  readonly for?: readonly string[]
  readonly sealed?: boolean
  readonly atLogin?: boolean
  readonly remember?: boolean
}

const usage = {
  command: 'add',
  takes: '[file...]',
  summary: [
    'Load private keys into the agent. Without a file: those of ~/.ssh with a default name.',
    'A key that is added again is held under the new conditions.',
  ].join('\n'),
  examples: [
    'add',
    'add -t 8h -c ~/.ssh/id_work',
    'add --for git@github.com ~/.ssh/id_git',
    'add --sealed old.ppk',
    'add --remember ~/.ssh/id_work',
  ],
  options: [
    ['-t, --lifetime <time>', 'remove them after this time: 90 (seconds), 10m, 8h, 1h30m'],
    ['--idle <time>', 'seal them again after this time without use, where they are encrypted'],
    ['-c, --confirm', 'ask at every use'],
    [
      '--for <host>',
      "only for this host: [USER@]HOST, or 'HOST1>[USER@]HOST2' from HOST1 on; a port: [HOST]:PORT",
      'many',
    ],
    ['--sealed', 'add them still encrypted: the passphrase is asked for when they are first used'],
    ['--at-login', 'the same, and at every start of the agent: a rule in agent.json'],
    ['--remember', "keep the passphrase in the system's keychain; the agent then holds the key at every start"],
    ['--passphrase-file <file>', "the first line of FILE is the keys' passphrase (-: standard input)"],
    ['--any-cost', 'open them however much their KDF asks for'],
  ],
} as const

export const run: Run = async (args, context) => {
  const parsed = parse<AddFlags>(usage, args, context)
  if (!parsed) return 0
  const { say } = context
  const { options } = parsed
  if (options.sealed && !options.remember && options.passphraseFile !== undefined) {
    throw new KeytoolError('usage', '--sealed asks for no passphrase, so --passphrase-file contradicts it')
  }
  if (options.for && (options.atLogin || options.remember)) {
    throw new KeytoolError('usage', `--for and ${options.remember ? '--remember' : '--at-login'} do not go together`, {
      hint: 'give the key hosts in agent.json instead',
    })
  }
  const terms = await readTerms(options, context)
  // No agent, or a locked one, no question: nobody types a passphrase in vain.
  const agent = await openAgent(context)
  try {
    await refuseLocked(agent)
    if (
      (options.sealed || options.atLogin || options.remember || terms.idle !== undefined) &&
      !(await agent.supports('add-sealed@keytool'))
    ) {
      throw new KeytoolError('refused', `the agent at ${agent.path} is another program's, which holds no sealed keys`, {
        hint: 'leave out --sealed, --at-login, --remember and --idle, or start an agent of ours: eval "$(keytool agent)"',
      })
    }
    const paths = parsed.words.length > 0 ? parsed.words : await defaultKeys(context)
    const memory = await recall(options, context)
    const facts: object[] = []
    const status = await forEach(paths, context, async path => {
      const isSealed = options.sealed || options.atLogin
      const added = await addOne(path, { terms, flags: options, agent, memory }, context)
      const { key, remembered } = added
      if (options.atLogin && !remembered) await noteAtLogin(path, key, { terms }, context)
      say.done(
        [
          showForeign(fingerprintLine(key)),
          ...describeTerms(terms),
          ...(isSealed ? ['sealed'] : []),
          ...(remembered ? ['remembered'] : []),
          ...(options.atLogin || (options.remember && remembered) ? ['and so at every start'] : []),
        ].join(', '),
      )
      const certificate = await certificateBeside(path, key, context)
      if (certificate && isSealed) {
        say.note(`${say.path(`${path}-cert.pub`)} is left out: sealed keys come without their certificate`)
      } else if (certificate) say.done(showForeign(fingerprintLine(certificate)))
      await warnOf(path, key, context)
      facts.push({ path, agent: agent.path, sealed: isSealed === true, remembered, ...keyFacts(key) })
    })
    if (facts.length > 0 && !(await isOurs(agent))) say.note(`the agent is the one at ${say.path(agent.path)}`)
    say.facts(facts)
    return status
  } finally {
    agent.close()
  }
}

async function readTerms(flags: AddFlags, { places }: Context): Promise<Terms> {
  const hosts = createHosts({ home: places.home })
  const destinations: Destination[] = []
  for (const text of flags.for ?? []) {
    destinations.push(await resolveDestination(parseDestination(text), host => hosts.keysOf(host)))
  }
  return {
    ...(flags.lifetime !== undefined && { lifetime: parseDuration(flags.lifetime, '--lifetime') }),
    ...(flags.idle !== undefined && { idle: parseDuration(flags.idle, '--idle') }),
    ...(flags.confirm && { confirm: true }),
    ...(destinations.length > 0 && { destinations }),
  }
}

/** What agent.json and the keychain have to say to an `add`. */
interface Memory {
  readonly rules: readonly KeyRule[]
  /** Where passphrases are to be kept. */
  readonly toFill: Keychain | undefined
}

async function recall({ remember: wanted }: AddFlags, context: Context): Promise<Memory> {
  // A file that is wrong is the agent's to tell of; whoever wants a rule in it learns of that before anything is asked.
  const rules = await readRules(context).catch(error => {
    if (wanted || !isKeytoolError(error)) throw error
    return []
  })
  return { rules, toFill: wanted ? await keychainToFill(context) : undefined }
}

interface Work {
  readonly terms: Terms
  readonly flags: AddFlags
  readonly agent: AgentClient
  readonly memory: Memory
}

async function addOne(path: string, work: Work, context: Context): Promise<{ key: PublicKey; remembered: boolean }> {
  const { terms, flags, agent, memory } = work
  const isSealed = flags.sealed === true || flags.atLogin === true
  if (isSealed && !memory.toFill) return { key: await addSealed(path, terms, agent), remembered: false }
  const sealed = await lookAt(path, flags, memory, context)
  // Says why it can't be.
  if (isSealed && !sealed) return { key: await addSealed(path, terms, agent), remembered: false }
  const toFill = sealed && memory.toFill
  if (sealed && toFill) await checkAtLogin(path, sealed.publicKey, { terms, remember: true }, context)
  const isKnown = sealed !== undefined && findRemembering(memory.rules, path, sealed.publicKey) !== undefined
  const keychain = toFill ?? (isKnown && !flags.remember ? openKeychain(context) : undefined)
  const opened = await openHere(path, sealed, keychain, flags, context)
  try {
    const key = isSealed ? await addSealed(path, terms, agent) : await addOpen(path, terms, agent, opened, context)
    const { passphrase } = opened
    if (!keychain || !passphrase) return { key, remembered: isKnown }
    if (!opened.key.publicKey.equals(key)) {
      throw new KeytoolError('failed', `${path} was changed while it was read`, {
        reason: 'its passphrase is not remembered',
      })
    }
    const toRemember = { path, key, passphrase }
    const done = 'the key is loaded, its passphrase is not remembered'
    if (toFill) return { key, remembered: await remember(toRemember, { terms }, toFill, done, context) }
    if (opened.isStale && (await store(toRemember, keychain, done, context))) {
      context.say.note('the keychain has the new one now')
    }
    return { key, remembered: isKnown }
  } finally {
    opened.key.wipe()
    opened.passphrase?.fill(0)
  }
}

/** The file as it can be held sealed, where the keychain may have to do with it. */
async function lookAt(path: string, flags: AddFlags, memory: Memory, context: Context): Promise<SealedKey | undefined> {
  if (!flags.remember) {
    const mayKnow = memory.rules.some(rule => rule.remember)
    // What is wrong with the file, opening it says.
    return mayKnow ? readSealed(path).catch(() => undefined) : undefined
  }
  const sealed = await readSealed(path)
  const word = context.say.word(path)
  if (!sealed) {
    context.say.note(
      `${context.say.path(path)} has no passphrase: there is nothing to remember\n` +
        `  the agent holds it until it ends; with a passphrase it would at every start: ${context.name} passphrase ${word}`,
    )
  }
  return sealed
}

async function addSealed(path: string, terms: Terms, agent: AgentClient): Promise<PublicKey> {
  return withFile(path, async bytes => {
    const sealed = await SealedKey.read(bytes)
    const shown = await withCommentBeside(path, sealed.publicKey)
    const key = shown.comment === '' ? shown.withComment(path) : shown
    await agent.addSealed({ identity: key, terms, sealed, file: resolve(path) })
    return key
  })
}

/** Opened here, where its passphrase can be asked for; an agent of ours gets the encrypted file with it, to seal it again. */
async function addOpen(
  path: string,
  terms: Terms,
  agent: AgentClient,
  { key }: OpenedHere,
  context: Context,
): Promise<PublicKey> {
  const shown = await withCommentBeside(path, key.publicKey)
  const comment = key.comment || shown.comment || path
  const sealed = (await agent.supports('add-sealed@keytool')) ? await readSealed(path, 'shown') : undefined
  const certificate = await certificateBeside(path, shown, context)
  for (const half of certificate ? [key.publicKey, certificate] : [key.publicKey]) {
    const named = half.withComment(comment)
    const open = async () => key
    if (sealed) await agent.addSealed({ identity: named, terms, sealed, file: resolve(path), open })
    else await agent.offer({ identity: named, terms, slow: false, open })
  }
  return shown
}

async function defaultKeys(context: Context): Promise<string[]> {
  const found = await defaultKeyFiles(context)
  if (found.length > 0) return found
  throw new KeytoolError('not-found', `${context.say.path(context.places.ssh)} holds no key with a default name`, {
    hint: `${context.name} gen makes one`,
  })
}
