import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { jest } from '@jest/globals'
import { runIn, succeed } from './cli-fixture.js'
import { type Home, temporaryHome } from './world/home.js'
import { peerPath } from './world/peers.js'
import { runOrThrow } from './world/run.js'

// Files made to act on whoever looks at them.

jest.setTimeout(90_000)

let home: Home
const at = (name: string) => join(home.path, name)

beforeEach(async () => {
  home = await temporaryHome()
  const sshKeygen = ['-q', '-t', 'ed25519', '-a', '1', '-N', 'secret', '-C', 'c', '-f', 'key']
  await runOrThrow(peerPath('ssh-keygen'), sshKeygen, { env: home.env, cwd: home.path })
})
afterEach(() => home.dispose())

/** Nothing but printable characters and newlines. */
function expectClean(text: string): void {
  expect(text.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\p{Cf}\p{Co}\p{Cs}\u2028\u2029]/u)
}

test('a cipher whose name is a terminal command', async () => {
  const lines = (await readFile(at('key'), 'latin1')).split('\n')
  const body = Buffer.from(lines.filter(line => !line.startsWith('-')).join(''), 'base64')
  const name = Buffer.from('\u001b]0;pwned\u0007\u001b[2J\u001b[H\nfake line \u009b31m')
  const length = Buffer.alloc(4)
  length.writeUInt32BE(name.length)
  const from = body.indexOf('aes256-ctr')
  const forged = Buffer.concat([body.subarray(0, from - 4), length, name, body.subarray(from + 10)])
  const armor = forged.toString('base64').replace(/(.{70})/g, '$1\n')
  await writeFile(at('forged'), `${lines[0]}\n${armor}\n-----END OPENSSH PRIVATE KEY-----\n`)
  for (const args of [
    ['inspect', 'forged'],
    ['inspect', '.'],
    ['inspect', 'forged', '--json'],
    ['convert', 'forged', '--to', 'ppk'],
  ]) {
    const { stdout, stderr } = await runIn(home, args)
    expectClean(stdout + stderr)
    expect(stdout).not.toMatch(/^fake line/m)
  }
})

test('a comment that is left out is shown escaped', async () => {
  await writeFile(at('secret'), 'secret')
  const unlocking = ['--passphrase-file', 'secret', '--no-passphrase']
  await succeed(home, ['convert', 'key', '--to', 'ppk', '-o', 'plain.ppk', ...unlocking])
  await succeed(home, ['gen', '-t', 'rsa', '-b', '2048', '--no-passphrase', '-f', 'rsa', '-C', 'plain'])
  const jwk = JSON.parse(await succeed(home, ['convert', 'rsa', '--to', 'jwk']))
  await writeFile(at('rsa.jwk'), JSON.stringify({ ...jwk, kid: 'a\u202egnp\u200b.exe' }))
  const { status, stderr } = await runIn(home, ['convert', 'rsa.jwk', '--to', 'pem', '-o', 'out'])
  expect(status).toBe(0)
  expectClean(stderr)
})
