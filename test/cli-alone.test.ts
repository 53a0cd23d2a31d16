import { readFile, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { jest } from '@jest/globals'
import { expectRefused, runIn, succeed } from './cli-fixture.js'
import { type Home, temporaryHome } from './world/home.js'
import { runOrThrow } from './world/run.js'

// A key file that is changed where it stands, and what others have put beside the key: servers keep certificates there.

jest.setTimeout(120_000)

const PASSPHRASE = 'the new passphrase'
let home: Home
const at = (name: string): string => join(home.path, name)
const openssl = (...args: string[]) => runOrThrow('openssl', args, { cwd: home.path, env: home.env })
const put = async (name: string, ...parts: string[]): Promise<void> => {
  const contents = await Promise.all(parts.map(part => readFile(at(part))))
  await writeFile(at(name), Buffer.concat(contents), { mode: 0o600 })
}

beforeAll(async () => {
  home = await temporaryHome()
  await openssl('req', '-x509', '-newkey', 'ed25519', '-nodes', '-keyout', 'k.pem', '-out', 'c.pem', '-subj', '/CN=x')
  await openssl('genrsa', '-traditional', '-out', 'rsa.pem', '2048')
  await openssl('ecparam', '-genkey', '-name', 'prime256v1', '-out', 'ec.pem')
  await writeFile(at('remark'), 'Key of the mail server\n')
  await writeFile(at('new'), `${PASSPHRASE}\n`, { mode: 0o600 })
})
afterAll(() => home.dispose())

const beside = {
  status: 4,
  code: 'refused',
  says: /holds more than the key[\s\S]*nothing was changed[\s\S]*-o NEW --to/,
}
const several = { status: 6, code: 'unsupported', says: /several private keys/ }

describe.each([
  ['a certificate behind it', ['k.pem', 'c.pem']],
  ['a certificate before it', ['c.pem', 'k.pem']],
  ['a certificate, PKCS#1', ['rsa.pem', 'c.pem']],
  ['a remark', ['remark', 'k.pem']],
])('%s', (_name, parts) => {
  test('is not lost', async () => {
    await put('server.pem', ...parts)
    await symlink('server.pem', at('link')).catch(() => undefined)
    const fresh = ['--new-passphrase-file', 'new']
    await expectRefused(home, ['passphrase', 'server.pem', ...fresh], beside)
    await expectRefused(home, ['passphrase', 'link', '--remove'], beside)
    for (const to of ['pkcs8', 'openssh']) {
      for (const over of ['server.pem', 'link']) {
        await expectRefused(home, ['convert', 'server.pem', '--to', to, '-o', over, '--force'], beside)
      }
    }
    // What the hint says: the key alone, in a file of its own.
    const { stderr } = await runIn(home, ['passphrase', 'server.pem', ...fresh])
    const [, to = ''] = /convert .*server\.pem -o NEW --to (\w+) writes the key alone/.exec(stderr) ?? []
    await succeed(home, ['convert', 'server.pem', '-o', 'alone', '--to', to, '--force'])
    await succeed(home, ['passphrase', 'alone', ...fresh])
    const before = await openssl('pkey', '-in', 'server.pem', '-pubout')
    const after = await openssl('pkey', '-in', 'alone', '-pubout', '-passin', `pass:${PASSPHRASE}`)
    expect(after.stdout).toBe(before.stdout)
  })
})

test('a comment takes no certificate away either', async () => {
  await put('server.pem', 'k.pem', 'c.pem')
  await expectRefused(home, ['comment', 'server.pem', 'mine'], beside)
})

test('the parameters before an ECDSA key are in the key, too', async () => {
  await put('ec-key', 'ec.pem')
  expect(await readFile(at('ec-key'), 'utf8')).toContain('BEGIN EC PARAMETERS')
  const before = await openssl('pkey', '-in', 'ec-key', '-pubout')
  await succeed(home, ['passphrase', 'ec-key', '--new-passphrase-file', 'new'])
  const after = await openssl('pkey', '-in', 'ec-key', '-pubout', '-passin', `pass:${PASSPHRASE}`)
  expect(after.stdout).toBe(before.stdout)
})

test.each([
  ['k.pem', 'rsa.pem'],
  ['rsa.pem', 'k.pem'],
])('two keys of two kinds, %s first: none is chosen', async (...parts) => {
  await put('poly.pem', ...parts)
  // Of many files, inspect says what it can: with --json, stdout is a list all the same.
  expect(await runIn(home, ['inspect', 'poly.pem'])).toMatchObject({
    status: several.status,
    stdout: '',
    stderr: expect.stringMatching(several.says),
  })
  await expectRefused(home, ['public', 'poly.pem'], several)
  await expectRefused(home, ['passphrase', 'poly.pem', '--new-passphrase-file', 'new'], several)
  await expectRefused(home, ['convert', 'poly.pem', '--to', 'openssh'], several)
})
