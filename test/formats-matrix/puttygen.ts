import { readPublicLines } from '../../packages/keygen/src/formats/lines/public.js'
import type { PublicKey } from '../../packages/keygen/src/key.js'
import { type Desk, type FormatPeer, refusal, type Saving } from './peer.js'
import { protectedBy, type Refusal, type SecretName } from './trial.js'

/** KDFs of version 3, at the least cost. */
const kdfs = ['argon2id', 'argon2i', 'argon2d'].map(kdf => `version=3,kdf=${kdf},memory=64,passes=1`)
const inTheClear = ['--ppk-param', 'version=2']
const privateArgs: readonly (readonly string[])[] = [
  ['private', ...inTheClear],
  ...kdfs.map(param => ['private', '--ppk-param', param]),
  ['private-openssh'],
  ['private-openssh-new'],
  ['private-sshcom'],
]
const publicArgs = [['public'], ['public-openssh']]

export async function openPuttygen(desk: Desk): Promise<FormatPeer> {
  const puttygen = (...args: string[]) => desk.run('puttygen', ...args)
  /** It reads passphrases from files, and asks on the terminal for what it is not given. */
  const unlocking = async (secret: SecretName) =>
    secret === 'none' ? [] : ['--old-passphrase', await desk.putSecret(secret)]
  const show = async (path: string, ...unlock: string[]): Promise<PublicKey | Refusal> => {
    const shown = await puttygen(path, ...unlock, '-O', 'public-openssh')
    const [key] = shown.status === 0 ? readPublicLines(Buffer.from(shown.stdout)) : []
    return key ?? refusal(shown)
  }
  const write = async (path: string, args: readonly string[], secret: SecretName): Promise<Buffer | Refusal> => {
    const out = desk.fresh()
    const saved = await puttygen(path, ...args, '-P', '--new-passphrase', await desk.putSecret(secret), '-o', out)
    return (saved.status === 0 && (await desk.take(out))) || refusal(saved)
  }

  return {
    title: 'PuTTY',
    version: await desk.suite.version('puttygen'),

    async open(file, secret) {
      const path = await desk.put(file)
      const unlock = await unlocking(secret)
      const line = await show(path, ...unlock)
      if ('refused' in line) return line
      const rewritten = await write(path, [...unlock, '-O', 'private', ...inTheClear], 'none')
      return 'refused' in rewritten ? rewritten : { line, rewritten }
    },

    openPublic: async file => show(await desk.put(file)),

    savings: (['none', ...protectedBy] as const).flatMap((secret): Saving[] => [
      ...privateArgs.map(([output = '', ...args]) => ({
        kind: 'private' as const,
        args: ['-O', output, ...args],
        secret,
      })),
      ...(secret === 'none'
        ? publicArgs.map(args => ({ kind: 'public' as const, args: ['-O', ...args], secret }))
        : []),
    ]),

    async save(source, { kind, args, secret }) {
      const path = await desk.put(source)
      if (kind === 'private') return write(path, args, secret)
      const shown = await puttygen(path, ...args)
      return shown.status === 0 && shown.stdout ? Buffer.from(shown.stdout) : refusal(shown)
    },
  }
}
