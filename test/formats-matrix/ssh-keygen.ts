import { readPublicLines } from '../../packages/keygen/src/formats/lines/public.js'
import { rfc4716 } from '../../packages/keygen/src/formats/sshcom/rfc4716.js'
import type { PublicKey } from '../../packages/keygen/src/key.js'
import { type Desk, type FormatPeer, refusal, type Saving } from './peer.js'
import { protectedBy, type Refusal, type SecretName, secrets } from './trial.js'

/** What `-m` takes. Of private keys RFC4716 means OpenSSH's own format. */
const modes = ['RFC4716', 'PKCS8', 'PEM']

/** ssh-keygen takes passphrases as arguments, and an empty one for none. */
const words = (secret: SecretName): string => secrets[secret] ?? ''

export async function openSshKeygen(desk: Desk): Promise<FormatPeer> {
  const keygen = (...args: string[]) => desk.run('ssh-keygen', ...args)
  const lineOf = (text: string): PublicKey => {
    const [key, ...more] = readPublicLines(Buffer.from(text))
    if (!key || more.length > 0) throw new Error(`not one public key: ${text}`)
    return key
  }

  return {
    title: 'OpenSSH',
    version: (await desk.suite.version('ssh')).replace(/p\d+$/, ''),

    async open(file, secret) {
      let path = await desk.put(file)
      // It decrypts, and writes anew with its own code; the line is that of what it wrote.
      const saved = await keygen('-p', '-P', words(secret), '-N', '', '-m', 'RFC4716', '-f', path)
      if (saved.status !== 0) {
        // Private keys of ssh.com are not opened, but imported.
        const imported = secret === 'none' ? await keygen('-i', '-f', path) : saved
        if (imported.status !== 0 || !imported.stdout.includes('PRIVATE KEY')) return refusal(saved)
        path = await desk.put(imported.stdout)
      }
      const shown = await keygen('-y', '-P', '', '-f', path)
      const rewritten = await desk.take(path)
      if (shown.status !== 0 || !rewritten) throw new Error(`what it wrote itself, it does not read: ${shown.stderr}`)
      return { line: lineOf(shown.stdout), rewritten }
    },

    async openPublic(file) {
      const path = await desk.put(file)
      const exported = await keygen('-e', '-m', 'RFC4716', '-f', path)
      if (exported.status === 0) {
        const [key] = await rfc4716.read(Buffer.from(exported.stdout))
        if (key) return key
      }
      let refused = refusal(exported)
      for (const mode of modes) {
        const imported = await keygen('-i', '-m', mode, '-f', path)
        if (imported.status === 0) return lineOf(imported.stdout)
        refused = refusal(imported)
      }
      return refused
    },

    savings: savingsOf((await desk.run('ssh', '-Q', 'cipher')).stdout.trim().split('\n')),

    async save(source, { kind, args, secret }): Promise<Buffer | Refusal> {
      const path = await desk.put(source)
      if (kind === 'public') {
        const shown = await keygen(...args, '-f', path)
        return shown.status === 0 && shown.stdout ? Buffer.from(shown.stdout) : refusal(shown)
      }
      const saved = await keygen('-p', '-P', '', '-N', words(secret), '-a', '1', ...args, '-f', path)
      return (saved.status === 0 && (await desk.take(path))) || refusal(saved)
    },
  }
}

function savingsOf(ciphers: readonly string[]): Saving[] {
  const save = (kind: Saving['kind'], secret: SecretName, ...args: string[]): Saving => ({ kind, args, secret })
  return [
    ...modes.map(mode => save('private', 'none', '-m', mode)),
    ...protectedBy.flatMap(secret => ciphers.map(cipher => save('private', secret, '-m', 'RFC4716', '-Z', cipher))),
    // Of these it chooses the cipher itself.
    ...protectedBy.flatMap(secret => modes.slice(1).map(mode => save('private', secret, '-m', mode))),
    save('public', 'none', '-y'),
    ...modes.map(mode => save('public', 'none', '-e', '-m', mode)),
    save('public', 'none', '-r', '@'),
  ]
}
