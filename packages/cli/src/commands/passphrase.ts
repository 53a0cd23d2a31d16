import { basename, join } from 'node:path'
import { readIfThere } from '@keytool/agent/platform'
import { chooseCosts, dearer, KeytoolError, optionsLike } from '@keytool/keygen'
import type { Context, Run } from '../context.js'
import { openToRewrite } from '../files.js'
import { newPassphrase } from '../new-passphrase.js'
import { loadRemembered } from '../online-link.js'
import { parse } from '../options.js'
import { describeRated } from '../protection.js'
import { rewriteKey } from '../rewrite.js'

const usage = {
  command: 'passphrase',
  takes: '<file>',
  summary:
    "Change, add or remove a key file's passphrase. Format, cipher and comment stay; what a guess costs only grows.",
  examples: ['passphrase ~/.ssh/id_ed25519', 'passphrase old.ppk --passphrase-file old --new-passphrase-file new'],
  options: [
    ['--passphrase-file <file>', 'the first line of FILE is the passphrase of today (-: standard input)'],
    ['--new-passphrase-file <file>', 'the first line of FILE is the new one'],
    ['--remove', 'leave the key without protection'],
    ['--any-cost', 'open it however much its KDF asks for'],
  ],
} as const

interface Options {
  passphraseFile?: string
  newPassphraseFile?: string
  remove?: boolean
  anyCost?: boolean
}

export const run: Run = async (args, context) => {
  const parsed = parse<Options>(usage, args, context)
  if (!parsed) return 0
  const { options } = parsed
  const path = parsed.words[0] ?? ''
  if (options.remove && options.newPassphraseFile !== undefined) {
    throw new KeytoolError('usage', '--remove and --new-passphrase-file contradict each other')
  }
  if (options.passphraseFile === '-' && options.newPassphraseFile === '-') {
    throw new KeytoolError('usage', 'only one secret can come from standard input')
  }
  const { key, format, facts, identity } = await openToRewrite(path, options, context)
  if (format.ciphers.length === 0 && !options.remove) {
    throw new KeytoolError('unsupported', `${format.title} files can't be encrypted`, {
      reason: 'nothing was changed',
      hint: `${context.name} convert turns it into a format that can be`,
    })
  }
  if (options.remove && !facts.encrypted) {
    context.say.line(`${context.say.path(path)} had no passphrase; nothing was changed`)
    return 0
  }
  const passphrase = options.remove
    ? undefined
    : await newPassphrase(
        {
          what: context.say.path(path),
          noun: 'new passphrase',
          without: '--remove',
          flag: '--new-passphrase-file',
          file: options.newPassphraseFile,
          known: [basename(path)],
        },
        context,
      )
  const like = optionsLike(facts, format)
  const costs = passphrase ? dearer(like, await chooseCosts(format, () => performance.now())) : like
  const bytes = await format.write(key, { ...costs, ...(passphrase && { passphrase }) })
  await rewriteKey({ path, key, bytes, passphrase, identity })
  const now = await format.inspect(bytes)
  context.say.done(`${context.say.path(path)}  ${format.title}, ${describeRated(now)}`)
  context.say.facts({ path, format: now.format, encrypted: now.encrypted, cipher: now.cipher, kdf: now.kdf })
  if (facts.cipher !== undefined && now.cipher !== undefined && facts.cipher !== now.cipher) {
    context.say.note(`${facts.cipher} is only read; the file has ${now.cipher} now`)
  }
  if (await mayBeRemembered(context)) {
    await (await loadRemembered()).follow(path, key.publicKey, passphrase, context)
  }
  passphrase?.fill(0)
  return 0
}

/** Whether there is any key whose passphrase the keychain has. Most people pay for no more than this look. */
async function mayBeRemembered({ places }: Context): Promise<boolean> {
  const policy = await readIfThere(join(places.config, 'agent.json')).catch(() => undefined)
  return policy?.includes('"remember"') === true
}
