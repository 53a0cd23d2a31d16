import { resolve } from 'node:path'
import {
  type AgentClient,
  createHosts,
  type Destination,
  parseDestination,
  resolveDestination,
  SealedKey,
  type Terms,
} from '@keytool/agent'
import { fingerprintLine, KeytoolError, type PublicKey, showForeign } from '@keytool/keygen'
import { isOurs, openAgent } from '../agent-link.js'
import { certificateBeside } from '../certificate-beside.js'
import type { Context, Run } from '../context.js'
import { parseDuration } from '../duration.js'
import { forEach } from '../each.js'
import { openKey, type Unlocking, withCommentBeside, withFile } from '../files.js'
import { refuseLocked } from '../held-keys.js'
import { keyFacts } from '../key-facts.js'
import { noteAtLogin } from '../login-keys.js'
import { parse } from '../options.js'
import { defaultKeyFiles } from '../signers.js'
import { describeTerms } from '../terms.js'
import { warnOf } from '../warn.js'

interface AddFlags extends Unlocking {
  readonly lifetime?: string
  readonly idle?: string
  readonly confirm?: boolean
  readonly for?: readonly string[]
  readonly sealed?: boolean
  readonly atLogin?: boolean
}

const usage = {
  command: 'add',
  takes: '[file...]',
  summary: [
    'Load private keys into the agent. Without a file: those of ~/.ssh with a default name.',
    'A key that is added again is held under the new conditions.',
  ].join('\n'),
  examples: ['add', 'add -t 8h -c ~/.ssh/id_work', 'add --for git@github.com ~/.ssh/id_git', 'add --sealed old.ppk'],
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
    ['--passphrase-file <file>', "the first line of FILE is the keys' passphrase (-: standard input)"],
    ['--any-cost', 'open them however much their KDF asks for'],
  ],
} as const

export const run: Run = async (args, context) => {
  const parsed = parse<AddFlags>(usage, args, context)
  if (!parsed) return 0
  const { say } = context
  const { options } = parsed
  if (options.sealed && options.passphraseFile !== undefined) {
    throw new KeytoolError('usage', '--sealed asks for no passphrase, so --passphrase-file contradicts it')
  }
  const terms = await readTerms(options, context)
  // No agent, or a locked one, no question: nobody types a passphrase in vain.
  const agent = await openAgent(context)
  try {
    await refuseLocked(agent)
    if (
      (options.sealed || options.atLogin || terms.idle !== undefined) &&
      !(await agent.supports('add-sealed@keytool'))
    ) {
      throw new KeytoolError('refused', `the agent at ${agent.path} is another program's, which holds no sealed keys`, {
        hint: 'leave out --sealed, --at-login and --idle, or start an agent of ours: eval "$(keytool agent)"',
      })
    }
    const paths = parsed.words.length > 0 ? parsed.words : await defaultKeys(context)
    const facts: object[] = []
    const status = await forEach(paths, context, async path => {
      const isSealed = options.sealed || options.atLogin
      const key = isSealed ? await addSealed(path, terms, agent) : await addOpen(path, terms, options, agent, context)
      if (options.atLogin) await noteAtLogin(path, key, terms, context)
      say.done(
        [
          showForeign(fingerprintLine(key)),
          ...describeTerms(terms),
          ...(isSealed ? ['sealed'] : []),
          ...(options.atLogin ? ['and so at every start'] : []),
        ].join(', '),
      )
      const certificate = await certificateBeside(path, key, context)
      if (certificate && isSealed) {
        say.note(`${say.path(`${path}-cert.pub`)} is left out: sealed keys come without their certificate`)
      } else if (certificate) say.done(showForeign(fingerprintLine(certificate)))
      await warnOf(path, key, context)
      facts.push({ path, agent: agent.path, sealed: isSealed === true, ...keyFacts(key) })
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
  flags: AddFlags,
  agent: AgentClient,
  context: Context,
): Promise<PublicKey> {
  const { key, passphrase, facts } = await openKey(path, flags, context)
  passphrase?.fill(0)
  const shown = await withCommentBeside(path, key.publicKey)
  const comment = key.comment || shown.comment || path
  const keepsFile = facts.encrypted && facts.public && (await agent.supports('add-sealed@keytool'))
  const sealed = keepsFile ? await withFile(path, bytes => SealedKey.read(bytes)) : undefined
  const certificate = await certificateBeside(path, shown, context)
  try {
    for (const half of certificate ? [key.publicKey, certificate] : [key.publicKey]) {
      const named = half.withComment(comment)
      const open = async () => key
      if (sealed) await agent.addSealed({ identity: named, terms, sealed, file: resolve(path), open })
      else await agent.offer({ identity: named, terms, slow: false, open })
    }
  } finally {
    key.wipe()
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
