import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { jest } from '@jest/globals'
import type { PublicKey } from '@keytool/keygen'
import { leavingWith } from '../packages/cli/src/context.js'
import { installOnForge, overForges, removeFromForge } from '../packages/cli/src/fleet/forge/on-forge.js'
import { forgeAt, makeDesk, makeKey } from './forge-fixture.js'
import { type Folder, temporaryFolder } from './world/folder.js'
import { type Account, type ForgeServer, type Kind, startForge } from './world/forge.js'
import { findFreePort } from './world/port.js'

// Keys on GitHub, GitLab and Gitea, against stand-ins that are as strict as the real ones.

jest.setTimeout(90_000)

const TOKEN = 'ghp_0123456789abcdefSECRET'

let folder: Folder
let tokenFile: string
let key: PublicKey
let line: string
let server: ForgeServer
let account: Account

beforeAll(async () => {
  folder = await temporaryFolder()
  tokenFile = join(folder.path, 'token')
  await writeFile(tokenFile, `${TOKEN}\n`)
  ;({ key, line } = await makeKey())
})
afterAll(() => folder.dispose())

async function start(kind: Kind): Promise<void> {
  server = await startForge(kind)
  account = { token: TOKEN, keys: [] }
  server.accounts.push(account)
}
afterEach(async () => {
  await server?.close()
})

const install = (kind: Kind, more: object = {}, desk = makeDesk()) =>
  installOnForge(forgeAt(kind, server.url), key, { tokenFile, ...more }, desk.context)
const remove = (kind: Kind, more: object = {}) =>
  removeFromForge(forgeAt(kind, server.url), key, { tokenFile, ...more }, makeDesk().context)
const blobs = () => account.keys.map(each => each.key.split(' ')[1])
const posts = () => server.requests.filter(each => each.startsWith('POST'))

describe.each<Kind>(['github', 'gitlab', 'gitea'])('%s', kind => {
  beforeEach(() => start(kind))

  test('a key is added once, is there the second time, and is taken out', async () => {
    const host = `127.0.0.1:${server.port}`
    const added = await install(kind)
    expect(added).toEqual({ host, state: 'added', code: 0, detail: 'added as "hana@laptop", and listed there' })
    expect(blobs()).toEqual([line.split(' ')[1]])
    const present = await install(kind, { title: 'another' })
    expect(present).toEqual({ host, state: 'present', code: 0, detail: 'was there already as "hana@laptop"' })
    expect(posts()).toHaveLength(1)
    expect(await remove(kind)).toMatchObject({ state: 'removed', code: 0 })
    expect(blobs()).toEqual([])
    expect(await remove(kind)).toMatchObject({ state: 'absent', code: 0 })
    expect(new Set(server.tokens)).toEqual(new Set([TOKEN]))
  })

  test('the comment stays here, the title goes there', async () => {
    await install(kind, { title: 'Laptop "two"' })
    expect(account.keys).toEqual([
      expect.objectContaining({ title: 'Laptop "two"', key: line.split(' ').slice(0, 2).join(' ') }),
    ])
  })

  test('with --dry-run nothing but a list is asked for', async () => {
    expect(await install(kind, { dryRun: true })).toMatchObject({
      state: 'would-add',
      detail: 'would be added as "hana@laptop"',
    })
    server.addKey(account, line, 'mine')
    expect(await install(kind, { dryRun: true })).toMatchObject({ state: 'present' })
    expect(await remove(kind, { dryRun: true })).toMatchObject({
      state: 'would-remove',
      detail: '"mine" would be removed',
    })
    expect(server.requests.every(each => each.startsWith('GET'))).toBe(true)
  })

  test('a key on a later page is found', async () => {
    for (const each of await Promise.all(Array.from({ length: 230 }, () => makeKey('x'))))
      server.addKey(account, each.line, 'x')
    server.addKey(account, line, 'the last one')
    expect(await install(kind)).toMatchObject({ state: 'present', detail: 'was there already as "the last one"' })
    expect(posts()).toEqual([])
  })

  test('keys of types that are not known here stand in the list, too', async () => {
    server.addKey(account, 'ssh-strange AAAAC3NzaC1zdHJhbmdl', 'strange')
    expect(await install(kind)).toMatchObject({ state: 'added' })
    expect(account.keys).toHaveLength(2)
  })

  test.each([
    [
      'a wrong token',
      (other: Account) => server.accounts.splice(0, 2, other),
      { code: 'secret-wrong', message: /does not accept the token$/ },
    ],
    [
      'a token without the right',
      () => Object.assign(account, { scope: 'none' }),
      { code: 'refused', message: /the token may not do that/ },
    ],
    [
      'a token that may only look',
      () => Object.assign(account, { scope: 'read' }),
      { code: 'refused', message: /the token may not do that/ },
    ],
    [
      'another account’s key',
      (other: Account) => server.addKey(other, line, 'theirs'),
      { code: 'exists', message: /in use on .* already/ },
    ],
  ])('%s', async (_what, arrange, { code, message }) => {
    const other: Account = { token: 'another-token', keys: [] }
    server.accounts.push(other)
    arrange(other)
    const before = JSON.stringify(server.accounts)
    const error = await install(kind).catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ code, message: expect.stringMatching(message), hint: expect.stringMatching(/./) })
    expect(JSON.stringify(error)).not.toContain(TOKEN)
    expect(JSON.stringify(server.accounts)).toBe(before)
  })

  test('another program that adds it at the same moment is no trouble', async () => {
    server.before = ({ method }) => {
      if (method === 'POST') server.addKey(account, line, 'theirs')
      return false
    }
    expect(await install(kind)).toMatchObject({ state: 'present', detail: 'was there already as "theirs"' })
    expect(account.keys).toHaveLength(1)
  })

  test('an answer that is lost does not mean that the key is', async () => {
    server.after = ({ method }, answer) => {
      if (method === 'POST') answer.destroy()
      return method === 'POST'
    }
    expect(await install(kind)).toMatchObject({ state: 'added' })
    expect(account.keys).toHaveLength(1)
    expect(posts()).toHaveLength(1)
  })

  test('a key that was taken and is not listed is no success', async () => {
    server.after = ({ method }, answer) => {
      if (method === 'POST') account.keys.length = 0
      return method === 'POST' && Boolean(answer.writeHead(201).end(JSON.stringify({ id: 1, title: 'x', key: line })))
    }
    await expect(install(kind)).rejects.toMatchObject({
      code: 'failed',
      message: expect.stringMatching(/does not list it$/),
    })
  })

  test('a key that the server does not take is told in its words, escaped', async () => {
    server.before = ({ method }, answer) => {
      if (method === 'POST')
        answer.writeHead(422, { 'content-type': 'application/json' }).end('{"message":"no \\u001b[2J\\u202e!"}')
      return method === 'POST'
    }
    await expect(install(kind)).rejects.toMatchObject({ code: 'refused', reason: 'it says: no \\u{1b}[2J\\u{202e}!' })
  })

  test.each<[string, (answer: import('node:http').ServerResponse) => void, object]>([
    [
      'a web page',
      answer => answer.writeHead(200, { 'content-type': 'text/html' }).end('<html>'),
      { code: 'unsupported' },
    ],
    ['JSON of another kind', answer => answer.writeHead(200).end('{"keys":[]}'), { code: 'unsupported' }],
    ['keys without numbers', answer => answer.writeHead(200).end('[{"key":"x","title":"y"}]'), { code: 'unsupported' }],
    [
      'no such place',
      answer => answer.writeHead(404).end('{"message":"Not Found"}'),
      { code: 'unsupported', message: /no such API/ },
    ],
    [
      'a page without end',
      answer => answer.writeHead(200).end('['.padEnd(3_000_000)),
      { code: 'unsupported', message: /too much/ },
    ],
    [
      'trouble of its own',
      answer => answer.writeHead(503).end('<html>'),
      { code: 'unreachable', reason: 'it answered 503' },
    ],
    [
      'too many requests',
      answer => answer.writeHead(429).end('{}'),
      { code: 'unreachable', hint: 'try again in some minutes' },
    ],
    [
      'half an answer',
      answer => answer.writeHead(200, { 'content-length': '99' }).write('[', () => answer.destroy()),
      { code: 'unreachable', reason: 'the connection was cut' },
    ],
  ])('%s in place of an answer', async (_what, give, { message, ...error }: { message?: RegExp }) => {
    server.before = (_request, answer) => {
      give(answer)
      return true
    }
    await expect(install(kind)).rejects.toMatchObject({
      ...error,
      ...(message && { message: expect.stringMatching(message) }),
    })
    expect(server.requests).toHaveLength(1)
  })

  test('the token follows no redirect, and no link to another page elsewhere', async () => {
    const elsewhere = await startForge(kind)
    try {
      server.before = (_request, answer) => {
        answer.writeHead(307, { location: `${elsewhere.url}/user/keys` }).end()
        return true
      }
      await expect(install(kind)).rejects.toMatchObject({
        code: 'unsupported',
        reason: expect.stringMatching(/is not followed/),
      })
      server.before = ({ number }, answer) => {
        const link = `<${elsewhere.url}/user/keys?page=2>; rel="next"`
        answer
          .writeHead(200, number === 2 ? { link } : {})
          .end(number === 2 ? JSON.stringify([{ id: 1, title: 'a', key: 'ssh-x AAAA' }]) : '[]')
        return true
      }
      expect(await install(kind, { dryRun: true })).toMatchObject({ state: 'would-add' })
      expect(server.requests).toHaveLength(3)
      expect(elsewhere.requests).toEqual([])
    } finally {
      await elsewhere.close()
    }
  })

  test('lists that never end are ended', async () => {
    server.before = (_request, answer) => {
      answer.writeHead(200, { link: '<x>; rel="next"' }).end(JSON.stringify([{ id: 1, title: 'a', key: 'ssh-x AAAA' }]))
      return true
    }
    await expect(install(kind)).rejects.toMatchObject({
      code: 'unsupported',
      message: expect.stringMatching(/without end/),
    })
    expect(server.requests.length).toBeLessThan(60)
  })
})

test('on GitHub a key for signing is one of its own', async () => {
  await start('github')
  expect(await install('github')).toMatchObject({ state: 'added' })
  expect(await install('github', { signing: true })).toMatchObject({ state: 'added' })
  expect(account.keys.map(({ signing }) => signing)).toEqual([false, true])
  expect(await remove('github', { signing: true })).toMatchObject({ state: 'removed' })
  expect(account.keys.map(({ signing }) => signing)).toEqual([false])
})

test('on GitLab one key has one purpose, which is said where it is the other one', async () => {
  await start('gitlab')
  expect(await install('gitlab', { signing: true })).toMatchObject({ state: 'added' })
  expect(account.keys).toEqual([expect.objectContaining({ usage: 'signing' })])
  await expect(install('gitlab')).rejects.toMatchObject({
    code: 'exists',
    message: expect.stringMatching(/for signing only$/),
  })
  account.keys.length = 0
  await install('gitlab')
  expect(account.keys).toEqual([expect.objectContaining({ usage: 'auth' })])
})

test('nobody there, nobody to ask, and what is no token', async () => {
  await start('gitlab')
  const port = await findFreePort()
  const nobody = forgeAt('gitlab', `http://127.0.0.1:${port}`)
  const { context, said } = makeDesk()
  const outcomes = await overForges([nobody, forgeAt('gitlab', server.url)], context, forge =>
    installOnForge(forge, key, { tokenFile }, context),
  )
  expect(outcomes).toMatchObject([
    { host: `127.0.0.1:${port}`, state: 'failed', code: 7, detail: `127.0.0.1:${port} can't be reached` },
    { state: 'added', code: 0 },
  ])
  expect(said()).toBe(`keytool: 127.0.0.1:${port} can't be reached\n  nobody listens there\n`)
  server.requests.length = 0
  await expect(install('gitlab', { tokenFile: undefined })).rejects.toMatchObject({
    code: 'secret-needed',
    hint: expect.stringMatching(/--token-file/),
  })
  for (const text of ['', 'two words', 'line\rbreak', 'naïve', 'x'.repeat(2000)]) {
    await writeFile(join(folder.path, 'bad'), text)
    const error = await install('gitlab', { tokenFile: join(folder.path, 'bad') }).catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ code: 'secret-wrong', message: expect.stringMatching(/^that is no token/) })
  }
  await expect(install('gitlab', { tokenFile: join(folder.path, 'none') })).rejects.toMatchObject({ code: 'not-found' })
  expect(server.requests).toEqual([])
})

test('a token from standard input; its first line', async () => {
  await start('gitea')
  expect(await install('gitea', { tokenFile: '-' }, makeDesk(`${TOKEN}\nmore\n`))).toMatchObject({ state: 'added' })
})

test('whoever leaves does not wait for a server that hangs', async () => {
  await start('github')
  const leaving = new AbortController()
  server.before = () => {
    leaving.abort()
    return true
  }
  const context = leavingWith(makeDesk().context, leaving.signal)
  const installed = installOnForge(forgeAt('github', server.url), key, { tokenFile }, context)
  await expect(installed).rejects.toMatchObject({ code: 'cancelled' })
})
