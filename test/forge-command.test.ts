import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { jest } from '@jest/globals'
import { runApart, runIn } from './cli-fixture.js'
import { makeKey } from './forge-fixture.js'
import { type ForgeServer, startForge } from './world/forge.js'
import { type Home, temporaryHome } from './world/home.js'
import { startKeyring } from './world/keyring.js'
import { findFreePort } from './world/port.js'
import { runOrThrow } from './world/run.js'

// `install-pubkey --github`, `--gitlab`, `--gitea`: the line, its exit status, and where the token goes.

jest.setTimeout(120_000)

const TOKEN = 'glpat-0123456789SECRET'

let home: Home
let server: ForgeServer
let line: string

beforeEach(async () => {
  home = await temporaryHome()
  ;({ line } = await makeKey())
  await writeFile(join(home.path, 'id.pub'), `${line}\n`)
  server = await startForge('gitlab')
  server.accounts.push({ token: TOKEN, keys: [] }, { token: 'weak', scope: 'none', keys: [] })
})
afterEach(async () => {
  await server.close()
  await home.dispose()
})

const args = (url: string, ...more: string[]) => ['install-pubkey', '-i', 'id.pub', '--gitlab', url, ...more]

test('a token on standard input; said, and as JSON', async () => {
  const options = { input: `${TOKEN}\n` }
  const { status, stdout, stderr } = await runIn(home, args(server.url, '--token-file', '-'), options)
  const name = `127.0.0.1:${server.port}`
  expect({ status, stdout, stderr }).toEqual({
    status: 0,
    stdout: `${name}  ok added as "hana@laptop", and listed there\n`,
    stderr: '',
  })
  const json = await runIn(home, args(server.url, '--token-file', '-', '--json'), options)
  expect(JSON.parse(json.stdout)).toEqual([
    { host: name, state: 'present', code: 0, detail: 'was there already as "hana@laptop"' },
  ])
  expect(server.accounts[0]?.keys).toHaveLength(1)
})

test('remove-pubkey takes it out of the account again; what is not there is no failure', async () => {
  const options = { input: `${TOKEN}\n` }
  await runIn(home, args(server.url, '--token-file', '-'), options)
  const remove = (...more: string[]) =>
    runIn(home, ['remove-pubkey', '-i', 'id.pub', '--gitlab', server.url, '--token-file', '-', ...more], options)
  expect(await remove('--dry-run')).toMatchObject({ status: 0, stdout: expect.stringContaining('would be removed') })
  expect(server.accounts[0]?.keys).toHaveLength(1)
  expect(await remove()).toMatchObject({
    status: 0,
    stderr: '',
    stdout: expect.stringContaining('ok "hana@laptop" removed'),
  })
  expect(server.accounts[0]?.keys).toEqual([])
  expect(JSON.parse((await remove('--json')).stdout)).toMatchObject([{ state: 'absent', code: 0 }])
})

test.each<[string, () => Promise<string> | string, string, number]>([
  ['a wrong token', () => server.url, 'wrong', 5],
  ['a token without the right', () => server.url, 'weak', 4],
  ['no API', () => server.url.replace('/api/v4', '/somewhere'), TOKEN, 6],
  ['nobody there', async () => `http://127.0.0.1:${await findFreePort()}`, TOKEN, 7],
])('%s: the exit status is its own', async (_what, url, token, status) => {
  const result = await runIn(home, args(await url(), '--token-file', '-'), { input: token })
  expect(result.status).toBe(status)
  expect(result.stderr).toMatch(/^keytool: .*(\n {2}.*){0,2}\n$/)
  expect(result.stdout + result.stderr).not.toContain(TOKEN)
  expect(server.accounts[0]?.keys).toEqual([])
})

test('no token and nobody to ask: 5 at once; a key of another account: 4', async () => {
  expect(await runIn(home, args(server.url))).toMatchObject({
    status: 5,
    stderr: expect.stringMatching(/--token-file FILE/),
  })
  expect(server.requests).toEqual([])
  server.accounts.push({ token: 'other', keys: [] })
  await runIn(home, args(server.url, '--token-file', '-'), { input: 'other' })
  expect(await runIn(home, args(server.url, '--token-file', '-'), { input: TOKEN })).toMatchObject({ status: 4 })
})

test('a line that can not be meant is refused before anything is sent', async () => {
  for (const more of [
    ['--gitea', 'http://git.example'],
    ['--title', ''],
    ['--token-file', '-', '--passphrase-file', '-'],
  ]) {
    expect(await runIn(home, args(server.url, ...more), { input: TOKEN })).toMatchObject({ status: 2, stdout: '' })
  }
  expect(server.requests).toEqual([])
})

test('TLS has to prove the server, whatever the environment says', async () => {
  const [keyFile, certFile] = [join(home.path, 'tls.key'), join(home.path, 'tls.crt')]
  const made = [
    'req',
    '-x509',
    '-newkey',
    'rsa:2048',
    '-nodes',
    '-subj',
    '/CN=x',
    '-addext',
    'subjectAltName=IP:127.0.0.1',
    '-days',
    '1',
  ]
  await runOrThrow('/usr/bin/openssl', [...made, '-keyout', keyFile, '-out', certFile], { env: home.env })
  const tls = { key: await readFile(keyFile, 'utf8'), cert: await readFile(certFile, 'utf8') }
  const secure = await startForge('gitlab', tls)
  try {
    secure.accounts.push({ token: TOKEN, keys: [] })
    const line = args(secure.url, '--token-file', '-')
    for (const careless of [{}, { NODE_TLS_REJECT_UNAUTHORIZED: '0' }]) {
      const result = await runApart(home, line, { input: TOKEN, env: { ...home.env, ...careless } })
      expect(result).toMatchObject({
        status: 7,
        stderr: expect.stringMatching(/its certificate does not prove it: self-signed certificate/),
      })
    }
    expect(secure.requests).toEqual([])
    const env = { ...home.env, NODE_EXTRA_CA_CERTS: certFile }
    expect(await runApart(home, line, { input: TOKEN, env })).toMatchObject({ status: 0, stderr: '' })
  } finally {
    await secure.close()
  }
})

test('a token that has served is kept in the keychain, and forgotten by its name', async () => {
  const keyring = await startKeyring(home)
  try {
    const run = (line: readonly string[], input?: string) =>
      runIn(home, line, { env: keyring.env, ...(input !== undefined && { input }) })
    const name = `127.0.0.1:${server.port}`
    const wrong = await run(args(server.url, '--token-file', '-', '--remember-token'), 'wrong')
    expect(wrong).toMatchObject({ status: 5 })
    expect((await run(['keychain', 'list'])).stdout).toBe('')
    const first = await run(args(server.url, '--token-file', '-', '--remember-token'), TOKEN)
    expect(first).toMatchObject({ status: 0, stderr: `the keychain keeps the token for ${name}\n` })
    expect((await run(['keychain', 'list'])).stdout).toMatch(new RegExp(`^SHA256:\\S{43} +token for ${name}\\s*\\n$`))
    expect(await run(args(server.url))).toMatchObject({ status: 0, stderr: '' })
    expect(await run(['keychain', 'check'])).toMatchObject({ status: 0 })
    // It was taken back there: nobody can be asked here.
    server.accounts.splice(0, 1)
    expect(await run(args(server.url))).toMatchObject({
      status: 5,
      stderr: expect.stringMatching(/does not accept the token/),
    })
    expect(await run(['keychain', 'forget', `token for ${name}`])).toMatchObject({ status: 0 })
    expect(await run(args(server.url))).toMatchObject({
      status: 5,
      stderr: expect.stringMatching(/the token for .* is needed/),
    })
    await keyring.lock()
    expect((await run(args(server.url))).status).toBe(4)
  } finally {
    await keyring.stop()
  }
})
