import { createPublicKey } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { jest } from '@jest/globals'
import { sshfpRecords } from '../packages/keygen/src/formats/foreign/sshfp.js'
import { x509 } from '../packages/keygen/src/formats/foreign/x509.js'
import { writePublicLine } from '../packages/keygen/src/formats/lines/public.js'
import { openssh } from '../packages/keygen/src/formats/openssh.js'
import { inspectSsh1 } from '../packages/keygen/src/formats/ssh1.js'
import { rfc4716 } from '../packages/keygen/src/formats/sshcom/rfc4716.js'
import { sshcom } from '../packages/keygen/src/formats/sshcom/sshcom.js'
import type { PrivateKey, PublicKey } from '../packages/keygen/src/key.js'
import { sampleKey } from '../packages/keygen/test/sample-keys.js'
import { type Home, temporaryHome } from './world/home.js'
import { peerPath } from './world/peers.js'
import { type RunResult, runOrThrow } from './world/run.js'

jest.setTimeout(120_000)

const COMMENT = 'häna@laptop 1'
const LONG =
  'häna: a comment --- with "quotes", a \\ and – as it is long – more than one line END of it, once more: läptop'
/** What OpenSSH 9.2 knows, PuTTY's ed448 left out. */
const opensshTypes = ['ed25519', 'ecdsa-256', 'ecdsa-384', 'ecdsa-521', 'rsa', 'dsa', 'ed25519-sk', 'ecdsa-sk']

let home: Home
let file: string

beforeEach(async () => {
  home = await temporaryHome()
  file = join(home.path, 'key')
})
afterEach(() => home.dispose())

const peer = (program: 'ssh-keygen' | 'puttygen', ...args: string[]): Promise<RunResult> =>
  runOrThrow(peerPath(program), args, { env: home.env })
/** puttygen, with a passphrase in a file where there is one. */
async function puttygen(args: string[], { old, fresh }: { old?: string; fresh?: string } = {}): Promise<RunResult> {
  const options = [...args]
  for (const [name, secret] of [
    ['old', old],
    ['new', fresh],
  ] as const) {
    if (secret === undefined) continue
    await writeFile(join(home.path, name), secret, { mode: 0o600 })
    options.push(`--${name}-passphrase`, join(home.path, name))
  }
  return peer('puttygen', ...options)
}

function lineOf(key: PublicKey): string {
  return writePublicLine(key)
}

const secrets = [
  ['no passphrase', undefined],
  ['an ASCII passphrase', 'correct horse'],
  ['a UTF-8 passphrase', 'ключ 鍵 clé'],
] as const
const sshcomCases = ['rsa', 'dsa'].flatMap(type => secrets.map(([name, secret]) => ({ type, name, secret })))

describe.each(sshcomCases)('ssh.com, $type with $name', ({ type, secret }) => {
  let key: PrivateKey
  beforeEach(async () => {
    key = await sampleKey(type, COMMENT)
  })
  const unlocked = secret === undefined ? {} : { passphrase: Buffer.from(secret) }

  test.each([COMMENT, LONG, ''])('what we write, puttygen takes: %j', async comment => {
    const ours = key.withComment(comment)
    await writeFile(file, await sshcom.write(ours, unlocked), { mode: 0o600 })
    const shown = await puttygen([file, '-O', 'public-openssh'], secret === undefined ? {} : { old: secret })
    expect(shown.stdout.trimEnd()).toBe(lineOf(ours.publicKey).trimEnd())
    // The private half, too: exported by puttygen, it is the same key to us.
    const out = join(home.path, 'out')
    await puttygen(
      [file, '-O', 'private-openssh-new', '-o', out],
      secret === undefined ? {} : { old: secret, fresh: secret },
    )
    const back = await openssh.read(await readFile(out), unlocked)
    expect(back.publicKey.equals(key.publicKey)).toBe(true)
    for (const [name, part] of Object.entries(key.parts)) expect(back.parts[name]).toEqual(part)
  })

  test.each([COMMENT, LONG, ''])(
    'what puttygen writes, we read; in the clear we write the same bytes: %j',
    async comment => {
      await writeFile(file, await openssh.write(key.withComment(comment)), { mode: 0o600 })
      const out = join(home.path, 'out')
      const fresh = secret === undefined ? {} : { fresh: secret }
      await puttygen([file, '-O', 'private-sshcom', '-o', out], fresh)
      const bytes = await readFile(out)
      const back = await sshcom.read(bytes, unlocked)
      expect(lineOf(back.publicKey)).toBe(lineOf(key.publicKey.withComment(comment)))
      for (const [name, part] of Object.entries(key.parts)) expect(back.parts[name]).toEqual(part)
      expect(await sshcom.inspect(bytes)).toMatchObject({ comment, encrypted: secret !== undefined })
      if (secret === undefined) expect((await sshcom.write(back)).toString()).toBe(bytes.toString())
      else {
        await expect(sshcom.read(bytes, { passphrase: Buffer.from('no') })).rejects.toMatchObject({
          code: 'secret-wrong',
        })
        // All but the padding at the end is settled by key and passphrase.
        const again = await sshcom.write(back, unlocked)
        expect(again.length).toBe(bytes.length)
        expect(again.subarray(0, -60).toString()).toBe(bytes.subarray(0, -60).toString())
      }
    },
  )
})

test.each(['rsa', 'dsa'])('ssh.com: ssh-keygen -i reads our %s key in the clear', async type => {
  const key = await sampleKey(type, COMMENT)
  await writeFile(file, await sshcom.write(key), { mode: 0o600 })
  const { stdout } = await peer('ssh-keygen', '-i', '-f', file)
  await writeFile(`${file}.pem`, stdout, { mode: 0o600 })
  const shown = await peer('ssh-keygen', '-y', '-P', '', '-f', `${file}.pem`)
  expect(shown.stdout.trim()).toBe(lineOf(key.publicKey.withComment('')).trim())
})

describe.each(opensshTypes)('RFC 4716, %s', type => {
  let key: PublicKey
  beforeEach(async () => {
    key = (await sampleKey(type, COMMENT)).publicKey
  })

  test('all but the comment is what ssh-keygen -e prints, and what it prints is read', async () => {
    await writeFile(file, lineOf(key))
    const { stdout } = await peer('ssh-keygen', '-e', '-f', file)
    const [theirs] = await rfc4716.read(Buffer.from(stdout))
    expect(theirs?.equals(key)).toBe(true)
    expect(theirs?.comment).toMatch(/^\d+-bit [\w-]+, converted by /)
    expect(theirs && rfc4716.write(theirs).toString()).toBe(stdout)
  })

  test.each([COMMENT, LONG, '', `----${'-'.repeat(200)}`])('ssh-keygen -i reads ours: %j', async comment => {
    await writeFile(file, rfc4716.write(key.withComment(comment)))
    const { stdout } = await peer('ssh-keygen', '-i', '-f', file)
    expect(stdout.trim()).toBe(lineOf(key.withComment('')).trim())
  })
})

describe.each(['ed25519', 'ed448', 'ecdsa-521', 'rsa', 'dsa'])('RFC 4716 and PuTTYgen, %s', type => {
  // PuTTY reads no folded headers, so that this is about comments that fit on one line.
  test.each([COMMENT, 'CORP\\häna "q": a \\ b', ''])('%j', async comment => {
    const { publicKey: key } = await sampleKey(type, comment)
    await writeFile(file, rfc4716.write(key))
    expect((await peer('puttygen', file, '-O', 'public-openssh')).stdout).toBe(lineOf(key))
    await writeFile(file, lineOf(key))
    const [back] = await rfc4716.read(Buffer.from((await peer('puttygen', file, '-O', 'public')).stdout))
    expect(back && lineOf(back)).toBe(lineOf(key))
  })
})

describe('SSHFP', () => {
  test.each(['ed25519', 'ecdsa-256', 'ecdsa-384', 'ecdsa-521', 'rsa', 'dsa'])('%s, as ssh-keygen -r', async type => {
    const { publicKey: key } = await sampleKey(type)
    await writeFile(file, lineOf(key))
    for (const host of ['web1', 'web1.example.com.', '@']) {
      expect(sshfpRecords(key, host)).toBe((await peer('ssh-keygen', '-r', host, '-f', file)).stdout)
    }
  })

  test.each(['ed25519-sk', 'ecdsa-sk'])('%s: neither of us has a record for it', async type => {
    const { publicKey: key } = await sampleKey(type)
    await writeFile(file, lineOf(key))
    expect((await peer('ssh-keygen', '-r', 'web1', '-f', file)).stdout).toBe('')
    expect(() => sshfpRecords(key, 'web1')).toThrow(expect.objectContaining({ code: 'unsupported' }))
  })
})

describe('SSH-1', () => {
  test.each([
    ['', '1024'],
    ['secret', '2048'],
  ])('what puttygen makes with the passphrase %j', async (secret, bits) => {
    const make = ['-t', 'rsa1', '-b', bits, '--random-device', '/dev/urandom', '-q', '-C', COMMENT, '-o', file]
    await puttygen(make, { fresh: secret })
    const listed = (await peer('puttygen', file, '-l')).stdout
    const facts = inspectSsh1(await readFile(file))
    expect(facts).toMatchObject({ kind: 'private', encrypted: secret !== '' })
    expect(`${facts.bits} ${facts.fingerprint.md5.slice(4)} ${facts.comment}\n`).toBe(listed)
    const line = (await peer('puttygen', file, '-O', 'public')).stdout
    expect(inspectSsh1(Buffer.from(line))).toMatchObject({
      kind: 'public',
      comment: COMMENT,
      fingerprint: facts.fingerprint,
    })
  })
})

describe('X.509, made by openssl', () => {
  const makers = [
    ['ed25519', ['-newkey', 'ed25519']],
    ['ecdsa-256', ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256']],
    ['ecdsa-384', ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-384']],
    ['ecdsa-521', ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-521']],
    ['rsa', ['-newkey', 'rsa:2048']],
    ['ed448', ['-newkey', 'ed448']],
    // Signed with another algorithm than that of its key.
    ['rsa', ['-newkey', 'rsa:2048', '-sha384', '-sigopt', 'rsa_padding_mode:pss']],
  ] as const

  const make = async (...args: string[]) => {
    const out = ['-nodes', '-keyout', file, '-out', `${file}.crt`]
    await runOrThrow('openssl', ['req', '-x509', ...args, ...out], { env: home.env })
    return readFile(`${file}.crt`)
  }

  test.each(makers)('%s', async (type, args) => {
    const bytes = await make(...args, '-utf8', '-subj', '/O=Example/CN=häna läptop')
    expect(x509.detect(bytes)).toBe(true)
    const [key] = await x509.read(bytes)
    expect(key?.algorithm.type).toBe(type)
    expect(key?.comment).toBe('häna läptop')
    // node's own reader of the private key agrees.
    const spki = createPublicKey(await readFile(file)).export({ format: 'jwk' })
    const number = Buffer.from(String(spki.y ?? spki.x ?? spki.n), 'base64url').toString('hex')
    expect(key?.blob.toString('hex').endsWith(number)).toBe(true)
  })

  test('with what -text says in front, without a name, with a name of several lines', async () => {
    const bytes = await make('-newkey', 'ed25519', '-subj', '/O=Example')
    const text = await runOrThrow('openssl', ['x509', '-text', '-in', `${file}.crt`], { env: home.env })
    expect((await x509.read(Buffer.from(text.stdout)))[0]?.comment).toBe('')
    expect((await x509.read(bytes))[0]?.comment).toBe('')
    const odd = await make('-newkey', 'ed25519', '-utf8', '-subj', '/CN=a\nb\u001b[31m')
    expect((await x509.read(odd))[0]?.comment).toBe('a b [31m')
  })

  test('of a type that SSH has no key for, it is unsupported', async () => {
    for (const args of [
      ['ec', '-pkeyopt', 'ec_paramgen_curve:secp256k1'],
      ['rsa-pss', '-pkeyopt', 'rsa_keygen_bits:1024'],
    ]) {
      await expect(x509.read(await make('-newkey', ...args, '-subj', '/CN=x'))).rejects.toMatchObject({
        code: 'unsupported',
      })
    }
  })
})
