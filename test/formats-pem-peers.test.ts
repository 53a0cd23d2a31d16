import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { jest } from '@jest/globals'
import type { WritableFormat } from '../packages/keygen/src/formats/format.js'
import { writePublicLine } from '../packages/keygen/src/formats/lines/public.js'
import { readPem } from '../packages/keygen/src/formats/pem/armor.js'
import { pem } from '../packages/keygen/src/formats/pem/pem.js'
import { pkcs1 } from '../packages/keygen/src/formats/pem/pkcs1.js'
import { spki } from '../packages/keygen/src/formats/pem/spki.js'
import { pkcs8 } from '../packages/keygen/src/formats/pkcs8/pkcs8.js'
import type { PrivateKey } from '../packages/keygen/src/key.js'
import { sampleKey } from '../packages/keygen/test/sample-keys.js'
import { type Home, temporaryHome } from './world/home.js'
import { peerPath } from './world/peers.js'
import { run, runOrThrow } from './world/run.js'

jest.setTimeout(120_000)

/** What OpenSSH 9.2 takes in PEM of either kind, as `ssh-keygen -t -b` calls it. */
const sshTypes = [
  { type: 'rsa', args: ['-t', 'rsa', '-b', '2048'] },
  { type: 'ecdsa-256', args: ['-t', 'ecdsa', '-b', '256'] },
  { type: 'ecdsa-384', args: ['-t', 'ecdsa', '-b', '384'] },
  { type: 'ecdsa-521', args: ['-t', 'ecdsa', '-b', '521'] },
  { type: 'dsa', args: ['-t', 'dsa'] },
]
const allTypes = [...sshTypes.map(({ type }) => type), 'ed25519', 'ed448']
const COMMENT = 'häna@laptop 🔑'
const SECRET = 'ключ 鍵 clé'
const passphrase = Buffer.from(SECRET)
const legacy = ['-provider', 'legacy', '-provider', 'default']
const sides: readonly { flag: string; format: WritableFormat }[] = [
  { flag: 'PEM', format: pem },
  { flag: 'PKCS8', format: pkcs8 },
]

type Three = [string, string, string]

const keys = new Map<string, PrivateKey>()
let home: Home
let key: string
let secretFile: string

beforeAll(async () => {
  for (const type of allTypes) keys.set(type, await sampleKey(type, COMMENT))
})
beforeEach(async () => {
  home = await temporaryHome()
  key = join(home.path, 'key')
  secretFile = join(home.path, 'secret')
  await writeFile(secretFile, SECRET)
})
afterEach(() => home.dispose())

function keyOf(type: string): PrivateKey {
  const found = keys.get(type)
  if (!found) throw new Error(`no key of type ${type}`)
  return found
}

const peer = (program: string, ...args: string[]) => runOrThrow(program, args, { env: home.env })
const sshKeygen = (...args: string[]) => peer(peerPath('ssh-keygen'), ...args)
const puttygen = (...args: string[]) => peer(peerPath('puttygen'), ...args)
const openssl = (...args: string[]) => peer('openssl', ...args)
const put = (bytes: Buffer) => writeFile(key, bytes, { mode: 0o600 })
const labelOf = (bytes: Buffer) => /^-----BEGIN ([A-Z ]+)-----/.exec(bytes.toString())?.[1] ?? ''
const lineOf = ({ publicKey }: PrivateKey) => writePublicLine(publicKey.withComment('')).trim()

describe.each(sshTypes.flatMap(row => sides.map(side => ({ ...row, ...side }))))('ssh-keygen -m $flag, $type', row => {
  const { type, args, flag, format } = row

  test('what it makes is read, and written again byte for byte', async () => {
    await sshKeygen('-q', ...args, '-m', flag, '-N', '', '-C', '', '-f', key)
    const bytes = await readFile(key)
    expect(format.detect(bytes)).toBe(true)
    const back = await format.read(bytes)
    expect(lineOf(back)).toBe((await readFile(`${key}.pub`, 'utf8')).trim())
    expect((await format.write(back)).toString()).toBe(bytes.toString())
  })

  test('what it encrypts is read', async () => {
    await sshKeygen('-q', ...args, '-m', flag, '-N', SECRET, '-f', key)
    const bytes = await readFile(key)
    expect(await format.inspect(bytes)).toMatchObject({ encrypted: true, cipher: 'aes128-cbc' })
    const back = await format.read(bytes, { passphrase })
    expect((await readFile(`${key}.pub`, 'utf8')).startsWith(lineOf(back))).toBe(true)
    await expect(format.read(bytes, { passphrase: Buffer.from('no') })).rejects.toMatchObject({ code: 'secret-wrong' })
  })

  test('what we write it reads, with every cipher', async () => {
    await put(await format.write(keyOf(type)))
    expect((await sshKeygen('-y', '-f', key)).stdout.trim()).toBe(lineOf(keyOf(type)))
    for (const cipher of format.ciphers) {
      await put(await format.write(keyOf(type), { passphrase, cipher, ...(format === pkcs8 && { rounds: 1000 }) }))
      expect((await sshKeygen('-y', '-P', SECRET, '-f', key)).stdout.trim()).toBe(lineOf(keyOf(type)))
    }
    // -p decrypts and encrypts anew with its own code.
    await sshKeygen('-p', '-m', flag, '-P', SECRET, '-N', 'another one', '-f', key)
    const back = await format.read(await readFile(key), { passphrase: Buffer.from('another one') })
    expect(lineOf(back)).toBe(lineOf(keyOf(type)))
  })
})

test.each(sshTypes)('ssh-keygen -e writes the public half of $type as we do, and reads ours', async ({ type }) => {
  const { publicKey } = keyOf(type)
  await put(Buffer.from(writePublicLine(publicKey)))
  expect((await sshKeygen('-e', '-m', 'PKCS8', '-f', key)).stdout).toBe(spki.write(publicKey).toString())
  if (type === 'rsa')
    expect((await sshKeygen('-e', '-m', 'PEM', '-f', key)).stdout).toBe(pkcs1.write(publicKey).toString())
  for (const [flag, format] of [['PKCS8', spki], ...(type === 'rsa' ? [['PEM', pkcs1] as const] : [])] as const) {
    await put(format.write(publicKey))
    expect((await sshKeygen('-i', '-m', flag, '-f', key)).stdout.trim()).toBe(lineOf(keyOf(type)))
  }
})

describe.each(sshTypes)('puttygen, $type', ({ type, args }) => {
  test('what it exports is read, and written again byte for byte', async () => {
    // ECDSA's private number it writes as a number, not in full length as the others do: one in two is of another size.
    for (let i = 0; i < (type.startsWith('ecdsa') ? 6 : 1); i++) {
      const [made, exported, sealed] = ['ppk', 'pem', 'sealed'].map(ending => `${key}.${i}.${ending}`) as Three
      const source = ['--random-device', '/dev/urandom', '--new-passphrase', '/dev/null']
      await puttygen('-q', ...args, ...source, '-O', 'private', '-o', made)
      await puttygen(made, '-O', 'private-openssh', '-o', exported)
      await puttygen(made, '-O', 'private-openssh', '-o', sealed, '--new-passphrase', secretFile)
      const shown = (await puttygen(made, '-L')).stdout
      const bytes = await readFile(exported)
      const back = await pem.read(bytes)
      expect(shown.startsWith(lineOf(back))).toBe(true)
      const again = await pem.write(back)
      const sizes = [again, bytes].map(file => readPem(file, [labelOf(file)])[0]?.body.length)
      if (!type.startsWith('ecdsa') || sizes[0] === sizes[1]) expect(again.toString()).toBe(bytes.toString())
      expect(await pem.inspect(await readFile(sealed))).toMatchObject({ encrypted: true, cipher: '3des-cbc' })
      expect(lineOf(await pem.read(await readFile(sealed), { passphrase }))).toBe(lineOf(back))
    }
  })

  test('what we write it reads, in the two ciphers it knows', async () => {
    for (const cipher of [undefined, 'aes128-cbc', '3des-cbc']) {
      await put(await pem.write(keyOf(type), cipher === undefined ? {} : { passphrase, cipher }))
      const unlocking = cipher === undefined ? [] : ['--old-passphrase', secretFile]
      const { stdout } = await puttygen(key, '-L', ...unlocking)
      expect(stdout.startsWith(lineOf(keyOf(type)))).toBe(true)
    }
  })
})

describe.each(allTypes)('openssl, %s', type => {
  test('reads what we write, with every cipher and KDF, and writes the same in the clear', async () => {
    await put(await pkcs8.write(keyOf(type).withComment('')))
    const shown = spki.write(keyOf(type).publicKey).toString()
    expect((await openssl('pkey', '-in', key)).stdout).toBe(await readFile(key, 'utf8'))
    expect((await openssl('pkey', '-in', key, '-pubout')).stdout).toBe(shown)
    const protections = [...pkcs8.ciphers.map(cipher => ({ cipher, rounds: 1000 })), { kdf: 'scrypt' as const }]
    for (const protection of [{}, ...protections.map(each => ({ ...each, passphrase }))]) {
      await put(await pkcs8.write(keyOf(type), protection))
      expect((await openssl('pkey', '-in', key, '-passin', `file:${secretFile}`, '-pubout')).stdout).toBe(shown)
    }
  })

  test.each([
    ['-v2', 'aes-256-cbc'],
    ['-v2', 'aes-192-cbc', '-v2prf', 'hmacWithSHA1'],
    ['-v2', 'aes-128-cbc', '-v2prf', 'hmacWithSHA512', '-iter', '5000'],
    ['-v2', 'des3', '-v2prf', 'hmacWithSHA384'],
    ['-v2', 'des-cbc', '-v2prf', 'hmacWithSHA224'],
    ['-scrypt'],
    ['-scrypt', '-scrypt_N', '1024', '-scrypt_r', '4', '-scrypt_p', '3'],
    ['-v1', 'PBE-MD5-DES'],
    ['-v1', 'PBE-SHA1-DES'],
    ['-v1', 'PBE-SHA1-3DES'],
    ['-v1', 'PBE-SHA1-2DES', '-iter', '3000'],
  ])('what it writes with %s %s is read', async (...options) => {
    await put(await pkcs8.write(keyOf(type)))
    const args = ['pkcs8', '-topk8', '-in', key, '-passout', `file:${secretFile}`, ...legacy]
    const { stdout } = await openssl(...args, ...options.filter(option => option !== undefined))
    expect(lineOf(await pkcs8.read(Buffer.from(stdout), { passphrase }))).toBe(lineOf(keyOf(type)))
  })
})

test('openssl writes DSA of the traditional kind as we do', async () => {
  await put(await pkcs8.write(keyOf('dsa')))
  const { stdout } = await openssl('dsa', '-in', key)
  expect(stdout).toBe((await pem.write(keyOf('dsa'))).toString())
})

test.each([
  ['RC2', 'PBE-SHA1-RC2-40'],
  ['RC4', 'PBE-SHA1-RC4-128'],
])('openssl with %s: refused with the line that helps, which does help', async (_cipher, scheme) => {
  await put(await pkcs8.write(keyOf('ed25519')))
  const out = ['-topk8', '-passout', `file:${secretFile}`, ...legacy]
  await openssl('pkcs8', '-in', key, ...out, '-v1', scheme, '-out', `${key}.old`)
  const refused = await pkcs8.read(await readFile(`${key}.old`), { passphrase }).catch(error => error)
  expect(refused).toMatchObject({ code: 'unsupported', hint: expect.stringContaining('openssl pkcs8 ') })
  const words = refused.hint.split(' writes ')[0].replace('FILE', `${key}.old`).split(' ')
  // One file for both would have to hold two lines.
  await writeFile(`${secretFile}2`, SECRET)
  const secrets = ['-passin', `file:${secretFile}`, '-passout', `file:${secretFile}2`]
  const { stdout } = await peer(words[0], ...words.slice(1), ...secrets)
  expect(lineOf(await pkcs8.read(Buffer.from(stdout), { passphrase }))).toBe(lineOf(keyOf('ed25519')))
})

test('openssl writes its parameters, and a certificate, into the same file', async () => {
  await openssl('ecparam', '-genkey', '-name', 'secp384r1', '-out', key)
  expect(await readFile(key, 'utf8')).toMatch(/^-----BEGIN EC PARAMETERS-----/)
  const back = await pem.read(await readFile(key))
  expect(spki.write(back.publicKey).toString()).toBe((await openssl('pkey', '-in', key, '-pubout')).stdout)
  await openssl('req', '-x509', '-key', key, '-subj', '/CN=x', '-out', `${key}.crt`)
  await openssl(
    'pkcs12',
    '-export',
    '-inkey',
    key,
    '-in',
    `${key}.crt`,
    '-name',
    'a name',
    '-out',
    `${key}.p12`,
    '-passout',
    'pass:',
  )
  const { stdout } = await openssl('pkcs12', '-in', `${key}.p12`, '-nodes', '-passin', 'pass:')
  expect(stdout).toMatch(/^Bag Attributes/)
  expect(stdout).toContain('BEGIN CERTIFICATE')
  expect((await pkcs8.read(Buffer.from(stdout))).publicKey.equals(back.publicKey)).toBe(true)
})

test('openssl spells a curve out: refused, and the line in the hint helps', async () => {
  await openssl('ecparam', '-genkey', '-noout', '-name', 'prime256v1', '-param_enc', 'explicit', '-out', key)
  const refused = await pem.read(await readFile(key)).catch(error => error)
  expect(refused).toMatchObject({ code: 'unsupported', hint: expect.stringContaining('openssl ec ') })
  const words = refused.hint.split(' writes ')[0].replace('FILE', key).split(' ')
  const { stdout } = await peer(words[0], ...words.slice(1))
  expect((await pem.read(Buffer.from(stdout))).publicKey.algorithm.type).toBe('ecdsa-256')
})

/** Loads each file named, and writes it anew in both of the library's own ways. */
const PYTHON = `
import sys
from cryptography.hazmat.primitives import serialization as s
secret = open(sys.argv[1], 'rb').read()
for path in sys.argv[2:]:
    data = open(path, 'rb').read()
    key = s.load_pem_private_key(data, secret if b'ENCRYPTED' in data else None)
    shown = key.public_key().public_bytes(s.Encoding.PEM, s.PublicFormat.SubjectPublicKeyInfo)
    best = s.BestAvailableEncryption(secret)
    open(path + '.pub', 'wb').write(shown)
    open(path + '.pkcs8', 'wb').write(key.private_bytes(s.Encoding.PEM, s.PrivateFormat.PKCS8, best))
    if b'ed' not in path.encode():
        open(path + '.pem', 'wb').write(key.private_bytes(s.Encoding.PEM, s.PrivateFormat.TraditionalOpenSSL, best))
`

test("Python's cryptography reads what we write, and the reverse", async () => {
  const paths: string[] = []
  for (const type of allTypes) {
    for (const [name, options] of [
      ['plain', {}],
      ['pbkdf2', { passphrase, rounds: 1000 }],
      ['scrypt', { passphrase, kdf: 'scrypt' as const }],
    ] as const) {
      const path = join(home.path, `${type}.${name}`)
      await writeFile(path, await pkcs8.write(keyOf(type), options))
      paths.push(path)
    }
  }
  await writeFile(`${key}.py`, PYTHON)
  await run(peerPath('paramiko'), ['-W', 'ignore', `${key}.py`, secretFile, ...paths], { env: home.env }).then(result =>
    expect(result).toMatchObject({ status: 0, stderr: '' }),
  )
  for (const path of paths) {
    const type = path.slice(home.path.length + 1).split('.')[0] ?? ''
    expect(await readFile(`${path}.pub`, 'utf8')).toBe(spki.write(keyOf(type).publicKey).toString())
    expect(lineOf(await pkcs8.read(await readFile(`${path}.pkcs8`), { passphrase }))).toBe(lineOf(keyOf(type)))
    if (type.startsWith('ed')) continue
    const sealed = await readFile(`${path}.pem`)
    expect(lineOf(await pem.read(sealed, { passphrase }))).toBe(lineOf(keyOf(type)))
  }
})
