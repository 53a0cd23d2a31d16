import { copyFile, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { jest } from '@jest/globals'
import { type Home, temporaryHome } from './world/home.js'
import { peerPath } from './world/peers.js'
import { keytool, type RunResult, run, runOrThrow } from './world/run.js'

jest.setTimeout(120_000)

/** Each type as `keytool gen`, `ssh-keygen -t -b` and `puttygen -t -b` call it. */
const types = [
  { type: 'ed25519', ssh: ['ed25519'], putty: ['ed25519'] },
  { type: 'ecdsa-256', ssh: ['ecdsa', '-b', '256'], putty: ['ecdsa', '-b', '256'] },
  { type: 'ecdsa-384', ssh: ['ecdsa', '-b', '384'], putty: ['ecdsa', '-b', '384'] },
  { type: 'ecdsa-521', ssh: ['ecdsa', '-b', '521'], putty: ['ecdsa', '-b', '521'] },
  { type: 'rsa', ssh: ['rsa', '-b', '2048'], putty: ['rsa', '-b', '2048'] },
] as const

const passphrases = [
  ['no passphrase', undefined],
  ['an ASCII passphrase', 'correct horse'],
  ['a UTF-8 passphrase', 'ключ 鍵 clé'],
] as const

/** Through the commands; all types and formats are tried in formats-matrix.test.ts. */
const cases = types
  .filter(({ type }) => type === 'ed25519' || type === 'rsa')
  .flatMap(type => passphrases.map(([name, secret]) => ({ ...type, name, secret })))

const COMMENT = 'häna@laptop 1'

let home: Home
let key: string
let secretFile: string

beforeEach(async () => {
  home = await temporaryHome()
  key = join(home.path, 'key')
  secretFile = join(home.path, 'secret')
})
afterEach(() => home.dispose())

const ours = (...args: string[]): Promise<RunResult> => keytool(args, { env: home.env })
const peer = (program: string, ...args: string[]): Promise<RunResult> =>
  runOrThrow(peerPath(program as 'ssh-keygen'), args, { env: home.env })

/** Options that hand our commands the passphrase, if there is one. */
async function unlocking(secret: string | undefined): Promise<string[]> {
  if (secret === undefined) return []
  await writeFile(secretFile, `${secret}\n`, { mode: 0o600 })
  return ['--passphrase-file', secretFile]
}

/** puttygen reads its passphrases from files without a newline, too. */
const puttyUnlocking = (secret: string | undefined) => (secret === undefined ? [] : ['--old-passphrase', secretFile])

async function gen(type: string, secret: string | undefined, ...more: string[]): Promise<void> {
  const protection = secret === undefined ? ['--no-passphrase'] : await unlocking(secret)
  const bits = type === 'rsa' ? ['-b', '2048'] : []
  const made = await ours('gen', '-t', type, ...bits, '-f', key, '-C', COMMENT, ...protection, ...more)
  expect(made).toMatchObject({ status: 0, stderr: '' })
}

describe.each(cases)('$type with $name', ({ type, ssh, putty, secret }) => {
  test('what we write as OpenSSH, ssh-keygen takes', async () => {
    await gen(type, secret)
    const line = await readFile(`${key}.pub`, 'utf8')
    const shown = await peer('ssh-keygen', '-y', '-P', secret ?? '', '-f', key)
    expect(shown.stdout).toBe(line)
    // -p decrypts, encrypts anew with its own code, and reads nothing we did not write.
    await peer('ssh-keygen', '-p', '-P', secret ?? '', '-N', 'another one', '-f', key)
    await writeFile(secretFile, 'another one')
    const back = await ours(
      'convert',
      key,
      '--to',
      'openssh',
      '--no-passphrase',
      '--passphrase-file',
      secretFile,
      '-o',
      `${key}2`,
    )
    expect(back).toMatchObject({ status: 0 })
    expect((await peer('ssh-keygen', '-y', '-P', '', '-f', `${key}2`)).stdout).toBe(line)
  })

  test('what we write as PPK, puttygen takes', async () => {
    await gen(type, secret, '--format', 'ppk')
    const line = await readFile(`${key}.pub`, 'utf8')
    expect(await readFile(key, 'utf8')).toMatch(/^PuTTY-User-Key-File-3: /)
    const shown = await peer('puttygen', key, '-O', 'public-openssh', ...puttyUnlocking(secret))
    expect(shown.stdout).toBe(line)
    // The private half, too: exported by puttygen, it is the same key to ssh-keygen.
    const exported = join(home.path, 'exported')
    const newSecret = secret === undefined ? [] : ['--new-passphrase', secretFile]
    await peer('puttygen', key, '-O', 'private-openssh-new', '-o', exported, ...puttyUnlocking(secret), ...newSecret)
    expect((await peer('ssh-keygen', '-y', '-P', secret ?? '', '-f', exported)).stdout).toBe(line)
    // And puttygen's OpenSSH file is one that we read.
    const read = await ours('convert', exported, '--to', 'ppk', '-o', `${key}2`, ...(await unlocking(secret)))
    expect(read).toMatchObject({ status: 0, stderr: '' })
    expect((await ours('public', `${key}2`)).stdout).toBe(line)
  })

  test('what ssh-keygen wrote, we read', async () => {
    await peer('ssh-keygen', '-q', '-t', ...ssh, '-N', secret ?? '', '-C', COMMENT, '-f', key)
    const line = await readFile(`${key}.pub`, 'utf8')
    expect((await ours('public', key)).stdout).toBe(line)
    const converted = await ours('convert', key, '--to', 'ppk', '-o', `${key}.ppk`, ...(await unlocking(secret)))
    expect(converted).toMatchObject({ status: 0, stderr: '' })
    const shown = await peer('puttygen', `${key}.ppk`, '-O', 'public-openssh', ...puttyUnlocking(secret))
    expect(shown.stdout).toBe(line)
  })

  test('what puttygen wrote, we read', async () => {
    if (secret !== undefined) await writeFile(secretFile, secret)
    else await writeFile(secretFile, '')
    const random = ['--random-device', '/dev/urandom', '-q']
    await peer('puttygen', '-t', ...putty, ...random, '-C', COMMENT, '--new-passphrase', secretFile, '-o', key)
    const line = (await peer('puttygen', key, '-O', 'public-openssh', ...puttyUnlocking(secret))).stdout
    expect((await ours('public', key)).stdout).toBe(line)
    const converted = await ours('convert', key, '--to', 'openssh', '-o', `${key}.out`, ...(await unlocking(secret)))
    expect(converted).toMatchObject({ status: 0, stderr: '' })
    expect((await peer('ssh-keygen', '-y', '-P', secret ?? '', '-f', `${key}.out`)).stdout).toBe(line)
  })
})

describe.each(types)('$type', ({ type, ssh }) => {
  test('fingerprints are those of ssh-keygen -l, character for character', async () => {
    await peer('ssh-keygen', '-q', '-t', ...ssh, '-N', '', '-C', COMMENT, '-f', key)
    for (const file of [`${key}.pub`, key]) {
      for (const hash of ['sha256', 'md5']) {
        const wanted = await peer('ssh-keygen', '-l', '-E', hash, '-f', file)
        expect((await ours('fingerprint', '-E', hash, file)).stdout).toBe(wanted.stdout)
      }
      const art = await peer('ssh-keygen', '-lv', '-f', file)
      expect((await ours('fingerprint', '--art', file)).stdout).toBe(art.stdout)
    }
    expect((await peer('ssh-keygen', '-l', '-f', key)).stdout).toContain(`(${type.replace(/-.*/, '').toUpperCase()})`)
  })
})

describe('sshpk, as a reader of its own', () => {
  test.each(types)('$type', async ({ type }) => {
    const { default: sshpk } = await import('sshpk')
    await gen(type, 'secret')
    const back = sshpk.parsePrivateKey(await readFile(key), 'auto', { passphrase: 'secret' })
    const line = await readFile(`${key}.pub`, 'utf8')
    expect(back.toPublic().toString('ssh').split(' ').slice(0, 2)).toEqual(line.split(' ').slice(0, 2))
  })
})

test('the comment shown is that of the .pub beside an encrypted key, as with ssh-keygen', async () => {
  await peer('ssh-keygen', '-q', '-t', 'ed25519', '-N', 'secret', '-C', 'inside', '-f', key)
  const line = await readFile(`${key}.pub`, 'utf8')
  await writeFile(`${key}.pub`, line.replace('inside', 'beside'))
  expect((await ours('fingerprint', key)).stdout).toBe((await peer('ssh-keygen', '-l', '-f', key)).stdout)
  expect((await ours('fingerprint', key)).stdout).toContain(' beside ')
  await copyFile(key, `${key}-alone`)
  const alone = await run(peerPath('ssh-keygen'), ['-l', '-f', `${key}-alone`], { env: home.env })
  expect((await ours('fingerprint', `${key}-alone`)).stdout).toBe(alone.stdout)
})
