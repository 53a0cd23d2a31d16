import { createPublicKey } from 'node:crypto'
import { copyFile, mkdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { jest } from '@jest/globals'
import { expectRefused, type Refusal, runIn, succeed, takeSnapshot } from './cli-fixture.js'
import { type Home, temporaryHome } from './world/home.js'
import { peerPath } from './world/peers.js'
import { run, runOrThrow } from './world/run.js'

// `public` and `fingerprint`: what they print is what ssh-keygen, puttygen and OpenSSL print, byte for byte; and what a
// file hides comes out with its passphrase only.

jest.setTimeout(120_000)

const SECRET = 'the right one'
const COMMENT = 'Hána @ laptop'

/** As ssh-keygen makes them. */
const types: [string, string[]][] = [
  ['ed25519', []],
  ['ecdsa', ['-b', '256']],
  ['ecdsa', ['-b', '384']],
  ['ecdsa', ['-b', '521']],
  ['rsa', ['-b', '2048']],
  ['dsa', []],
]
const keys = types.map(([type, size]) => [type, ...size.slice(1)].join('-'))
const withNist = keys.filter(name => name.startsWith('ecdsa'))

let home: Home
const at = (name: string) => join(home.path, name)

beforeAll(async () => {
  home = await temporaryHome()
  await writeFile(at('secret'), `${SECRET}\n`)
  await writeFile(at('wrong'), 'not it\n')
  for (const [i, [type, size]] of types.entries()) {
    const args = ['-q', '-t', type, ...size, '-C', COMMENT, '-N', '', '-f', at(keys[i] ?? '')]
    await runOrThrow(peerPath('ssh-keygen'), args, { env: home.env })
  }
})
afterAll(() => home.dispose())
beforeEach(async () => {
  await rm(at('w'), { recursive: true, force: true })
  await mkdir(at('w'), { mode: 0o700 })
})

const sshKeygen = async (...args: string[]) =>
  (await runOrThrow(peerPath('ssh-keygen'), args, { env: home.env })).stdout
const puttygen = async (...args: string[]) => (await runOrThrow(peerPath('puttygen'), args, { env: home.env })).stdout
const show = (name: string, ...more: string[]) => succeed(home, ['public', name, ...more])
const format = (name: string, of: string, ...more: string[]) => show(of, '--format', name, ...more)

/**
 * Has `public` or `fingerprint` refuse. The latter takes many files, and its list of facts is printed even when it is
 * empty.
 */
async function refuse([command = '', ...args]: readonly string[], refusal: Refusal, secrets: string[] = []) {
  if (command !== 'fingerprint') return expectRefused(home, [command, ...args], refusal, { secrets })
  const before = await takeSnapshot(home.path)
  const { status, stdout, stderr } = await runIn(home, [command, ...args])
  expect([status, stdout, stderr]).toEqual([refusal.status, '', expect.stringMatching(refusal.says ?? /./)])
  for (const secret of secrets) expect(stderr).not.toContain(secret)
  const json = await runIn(home, [command, ...args, '--json'])
  expect(json).toMatchObject({ status: refusal.status, stdout: '[]\n' })
  expect(JSON.parse(json.stderr)).toMatchObject({ error: { code: refusal.code } })
  expect(await takeSnapshot(home.path)).toEqual(before)
}

/** From a private file, from the line, and from PuTTY's file of the same key. */
async function sourcesOf(name: string): Promise<string[]> {
  await copyFile(at(name), at('w/alone'))
  const protection = ['-O', 'private', '-o', at('w/putty'), '--new-passphrase', '/dev/null']
  await runOrThrow(peerPath('puttygen'), [at(name), '-C', COMMENT, ...protection], { env: home.env })
  return [name, 'w/alone', `${name}.pub`, 'w/putty']
}

describe.each(keys)('the public half of %s', name => {
  test('as one line', async () => {
    const line = await readFile(at(`${name}.pub`), 'utf8')
    for (const source of await sourcesOf(name)) {
      expect(await show(source)).toBe(line)
      expect(await format('openssh', source)).toBe(line)
    }
  })

  test('as RFC 4716: as ssh-keygen -e, with the comment of the key', async () => {
    const theirs = await sshKeygen('-e', '-f', at(`${name}.pub`))
    const wanted = theirs.replace(/^Comment: ".*"$/m, `Comment: "${COMMENT}"`)
    for (const source of await sourcesOf(name)) expect(await format('rfc4716', source)).toBe(wanted)
    await writeFile(at('w/out'), wanted)
    expect((await sshKeygen('-i', '-f', at('w/out'))).trim()).toBe((await show(name)).split(' ').slice(0, 2).join(' '))
    expect(await puttygen(at('w/out'), '-O', 'public-openssh')).toBe(await show(name))
  })

  test("as SPKI: as OpenSSL's", async () => {
    const spki = await format('spki', name)
    expect(createPublicKey(spki).export({ type: 'spki', format: 'pem' })).toBe(spki)
    // ssh-keygen 9.2 does so for the types of OpenSSL 1.0.
    if (name !== 'ed25519') expect(spki).toBe(await sshKeygen('-e', '-m', 'PKCS8', '-f', at(`${name}.pub`)))
    for (const source of await sourcesOf(name)) expect(await format('spki', source)).toBe(spki)
  })

  test('as SSHFP records: as ssh-keygen -r', async () => {
    const theirs = await sshKeygen('-r', 'host.example', '-f', at(`${name}.pub`))
    for (const source of await sourcesOf(name)) {
      expect(await format('sshfp', source, '--host', 'host.example')).toBe(theirs)
    }
    expect(await format('sshfp', name)).toBe(theirs.replaceAll('host.example', '@'))
  })
})

describe('formats of some types only', () => {
  test('PKCS#1: as ssh-keygen -e -m PEM', async () => {
    const theirs = await sshKeygen('-e', '-m', 'PEM', '-f', at('rsa-2048.pub'))
    expect(await format('pkcs1', 'rsa-2048')).toBe(theirs)
    await writeFile(at('w/out'), theirs)
    expect(await show('w/out')).toBe(`${(await show('rsa-2048')).split(' ').slice(0, 2).join(' ')}\n`)
  })

  test.each(keys.filter(name => name !== 'rsa-2048'))('PKCS#1 does not hold %s: 6', async name => {
    const refusal = { status: 6, code: 'unsupported', says: /PKCS#1 files can't hold (ed25519|ecdsa-\d+|dsa) keys/ }
    await expectRefused(home, ['public', name, '--format', 'pkcs1'], refusal)
  })

  test.each(['ed25519', 'rsa-2048', ...withNist])("JWK of %s: node's, with the comment as kid", async name => {
    const spki = await format('spki', name)
    const theirs = createPublicKey(spki).export({ format: 'jwk' })
    const ours = JSON.parse(await format('jwk', name))
    expect(ours).toMatchObject(theirs)
    expect(ours).not.toHaveProperty('d')
    expect(createPublicKey({ key: ours, format: 'jwk' }).export({ type: 'spki', format: 'pem' })).toBe(spki)
  })

  test('JWK does not hold dsa: 6', async () => {
    await expectRefused(home, ['public', 'dsa', '--format', 'jwk'], { status: 6, code: 'unsupported', says: /dsa/ })
  })
})

describe('--host', () => {
  test.each([['a b'], [''], ['host\nevil IN A 1.2.3.4'], ['$INCLUDE'], ['a;b']])('%j is no name: 2', async host => {
    await expectRefused(home, ['public', 'ed25519', '--format', 'sshfp', '--host', host], { status: 2, code: 'usage' })
  })

  test('means nothing without sshfp: 2', async () => {
    await expectRefused(home, ['public', 'ed25519', '--host', 'host.example'], {
      status: 2,
      code: 'usage',
      says: /--host/,
    })
  })
})

/** Files that keep the public half inside the encrypted part. */
const hiding: [string, string, string[]][] = [
  ['PEM', 'ssh-keygen', ['-m', 'PEM']],
  ['PKCS#8', 'ssh-keygen', ['-m', 'PKCS8']],
  ['ssh.com', 'puttygen', ['-O', 'private-sshcom']],
]

describe.each(hiding)('an encrypted %s file', (_, maker, flags) => {
  beforeEach(async () => {
    await copyFile(at('rsa-2048'), at('w/key'))
    if (maker === 'ssh-keygen') {
      await sshKeygen('-q', '-p', ...flags, '-P', '', '-N', SECRET, '-f', at('w/key'))
    } else {
      await puttygen(at('rsa-2048'), ...flags, '-o', at('w/key'), '--new-passphrase', at('secret'))
    }
  })

  test.each([
    ['public', []],
    ['public', ['--format', 'sshfp']],
    ['fingerprint', []],
    ['fingerprint', ['-B']],
  ] as [string, string[]][])(
    '%s %j: 5 without a passphrase, 5 with a wrong one, right with the right one',
    async (command, more) => {
      const needed = { status: 5, code: 'secret-needed', says: /passphrase for w\/key[\s\S]*--passphrase-file/ }
      await refuse([command, 'w/key', ...more], needed)
      const wrong = { status: 5, code: 'secret-wrong', says: /wrong passphrase for w\/key/ }
      await refuse([command, 'w/key', ...more, '--passphrase-file', 'wrong'], wrong, ['not it'])
      // A comment that the file does not keep comes from the .pub beside it.
      await copyFile(at('rsa-2048.pub'), at('w/key.pub'))
      const plain = await succeed(home, [command, 'rsa-2048', ...more])
      expect(await succeed(home, [command, 'w/key', ...more, '--passphrase-file', 'secret'])).toBe(plain)
      expect(await succeed(home, [command, 'w/key', ...more, '--passphrase-file', '-'], { input: SECRET })).toBe(plain)
    },
  )

  test('is inspected without any; its type and size are absent or right', async () => {
    const [facts] = JSON.parse(await succeed(home, ['inspect', 'w/key', '--json']))
    expect(facts).toMatchObject({ kind: 'private', encrypted: true, cipher: expect.any(String) })
    expect(facts).not.toHaveProperty('fingerprint')
    expect(await succeed(home, ['inspect', 'w/key'])).toMatch(/private key, [\s\S]*its public half is encrypted, too/)
  })

  test('several at once, with one passphrase for all', async () => {
    const { status, stdout, stderr } = await runIn(home, ['fingerprint', 'w/key', 'ed25519'])
    expect([status, stdout]).toEqual([5, await sshKeygen('-l', '-f', at('ed25519'))])
    expect(stderr).toMatch(/w\/key/)
    const both = await succeed(home, ['fingerprint', 'w/key', 'ed25519', '--passphrase-file', 'secret'])
    expect(both.match(/SHA256:/g)).toHaveLength(2)
  })
})

test('OpenSSH and PPK files show it: a passphrase is not asked for, and a wrong one not looked at', async () => {
  await copyFile(at('ed25519'), at('w/key'))
  await sshKeygen('-q', '-p', '-a', '1', '-P', '', '-N', SECRET, '-f', at('w/key'))
  await puttygen(at('ed25519'), '-O', 'private', '-o', at('w/key.ppk'), '--new-passphrase', at('secret'))
  const blob = (await show('ed25519')).split(' ')[1]
  for (const name of ['w/key', 'w/key.ppk']) {
    expect((await show(name)).split(/[ \n]/)[1]).toBe(blob)
    expect((await show(name, '--passphrase-file', 'wrong')).split(/[ \n]/)[1]).toBe(blob)
  }
})

describe.each(keys)('the fingerprint of %s', name => {
  test.each([
    ['-l', []],
    ['-l -E md5', ['-E', 'md5']],
    ['-lv', ['--art']],
    ['-lv -E md5', ['--art', '-E', 'md5']],
    ['-B', ['-B']],
    ['-B', ['--bubblebabble']],
  ] as [string, string[]][])('as ssh-keygen %s', async (theirs, ours) => {
    for (const file of [name, `${name}.pub`]) {
      const wanted = await sshKeygen(...theirs.split(' '), '-f', at(file))
      expect(await succeed(home, ['fingerprint', file, ...ours])).toBe(wanted)
    }
  })

  test('as PuTTYgen shows it', async () => {
    const [, , , putty = ''] = await sourcesOf(name)
    expect(await succeed(home, ['fingerprint', putty, '--putty'])).toBe(await puttygen(at(putty), '-O', 'fingerprint'))
    const md5 = await puttygen(at(putty), '-O', 'fingerprint', '-E', 'md5')
    expect(await succeed(home, ['fingerprint', putty, '--putty', '-E', 'md5'])).toBe(md5)
  })
})

test('--putty and -B contradict each other: 2', async () => {
  const refusal = { status: 2, code: 'usage', says: /--putty/ }
  await expectRefused(home, ['fingerprint', 'ed25519', '--putty', '-B'], refusal)
})

test('what --json says of -B and --putty is what the text says', async () => {
  const [words] = JSON.parse(await succeed(home, ['fingerprint', 'ed25519', '-B', '--json']))
  expect(await succeed(home, ['fingerprint', 'ed25519', '-B'])).toContain(words.fingerprint)
  const [putty] = JSON.parse(await succeed(home, ['fingerprint', 'ed25519', '--putty', '-E', 'md5', '--json']))
  const shown = await succeed(home, ['fingerprint', 'ed25519', '--putty', '-E', 'md5'])
  expect(shown).toContain(putty.fingerprint.replace(/^MD5:/, ''))
})

describe('where it goes', () => {
  test('to a file, 0644; one that is there is not replaced unless it is said: 4', async () => {
    await show('ed25519', '-o', 'w/out.pub')
    expect(await readFile(at('w/out.pub'), 'utf8')).toBe(await readFile(at('ed25519.pub'), 'utf8'))
    expect((await stat(at('w/out.pub'))).mode & 0o777).toBe(0o644)
    const over = ['public', 'rsa-2048', '-o', 'w/out.pub']
    await expectRefused(home, over, { status: 4, code: 'exists', says: /w\/out\.pub is there already[\s\S]*--force/ })
    await succeed(home, [...over, '--force'])
    expect(await readFile(at('w/out.pub'), 'utf8')).toBe(await readFile(at('rsa-2048.pub'), 'utf8'))
  })

  test('never over the private key itself, --force or not: 4', async () => {
    await copyFile(at('ed25519'), at('w/key'))
    await symlink('key', at('w/link'))
    for (const out of ['w/key', 'w/link']) {
      const args = ['public', 'w/key', '-o', out, '--force']
      await expectRefused(home, args, { status: 4, code: 'refused', says: /private key/ })
    }
  })

  test('to standard output with -o -', async () => {
    expect(await show('ed25519', '-o', '-')).toBe(await readFile(at('ed25519.pub'), 'utf8'))
  })

  test('--json: the facts and the text', async () => {
    const facts = JSON.parse(await show('ed25519', '--json', '--format', 'rfc4716'))
    const text = (await format('rfc4716', 'ed25519')).trimEnd()
    expect(facts).toMatchObject({ type: 'ssh-ed25519', bits: 256, comment: COMMENT, text })
    expect(JSON.parse(await show('ed25519', '--json'))).toMatchObject({ line: (await show('ed25519')).trimEnd() })
  })
})

describe('what can not be', () => {
  test('a format it does not know: 2', async () => {
    const refusal = { status: 2, code: 'usage', says: /one of: .*rfc4716/ }
    await expectRefused(home, ['public', 'ed25519', '--format', 'x509'], refusal)
  })

  test('a file with several keys: 2', async () => {
    await writeFile(at('w/two'), (await show('ed25519')) + (await show('rsa-2048')))
    await expectRefused(home, ['public', 'w/two'], { status: 2, code: 'usage', says: /w\/two[\s\S]*several keys/ })
  })

  test.each([
    ['a file that is not there', 'w/absent', 3, 'not-found'],
    ['no key', 'secret', 6, 'damaged'],
    ['a folder', 'w', 6, 'damaged'],
  ])('%s', async (_, path, status, code) => {
    await expectRefused(home, ['public', path], { status, code })
    await refuse(['fingerprint', path], { status, code })
  })

  test('an SSHFP record has no key in it: 6', async () => {
    await writeFile(at('w/records'), await format('sshfp', 'ed25519'))
    await expectRefused(home, ['public', 'w/records'], {
      status: 6,
      code: 'unsupported',
      says: /fingerprint, not a key|no key/,
    })
    await refuse(['fingerprint', 'w/records'], { status: 6, code: 'unsupported' })
    expect((await run(peerPath('ssh-keygen'), ['-l', '-f', at('w/records')])).status).not.toBe(0)
  })

  test('one SSHFP record is no public key either', async () => {
    const [record = ''] = (await format('sshfp', 'ed25519')).split('\n')
    await writeFile(at('w/record'), `${record}\n`)
    const { status, stderr } = await runIn(home, ['public', 'w/record'])
    expect([status, stderr]).toEqual([6, expect.not.stringContaining('the private one is needed')])
  })
})

test('keys of SSH-1 are fingerprinted, as inspect shows it', async () => {
  await puttygen('-t', 'rsa1', '-b', '1024', '-C', 'old one', '-o', at('w/key'), '--new-passphrase', '/dev/null')
  const [facts] = JSON.parse(await succeed(home, ['inspect', 'w/key', '--json']))
  expect(facts.fingerprint.md5).toMatch(/^MD5:([0-9a-f]{2}:){15}[0-9a-f]{2}$/)
  expect(await succeed(home, ['fingerprint', 'w/key', '-E', 'md5'])).toBe(
    `1024 ${facts.fingerprint.md5} old one (RSA1)\n`,
  )
})
