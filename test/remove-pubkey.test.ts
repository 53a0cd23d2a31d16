import { appendFile, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { jest } from '@jest/globals'
import { makeKey } from './agent-hosts.js'
import { openRotateWorld, type RotateWorld } from './rotate-world.js'
import { peerPath } from './world/peers.js'
import { runOrThrow } from './world/run.js'
import { type Sshd, startSshd } from './world/sshd.js'
import type { SystemUser } from './world/system-user.js'

// `keytool remove-pubkey` as a user runs it, against OpenSSH's server and its real accounts.

jest.setTimeout(120_000)

let world: RotateWorld
let user: SystemUser
/** One of ssh's default names, so that it is offered unasked. */
let other: string
let otherLine: string
let password: string

beforeAll(async () => {
  world = await openRotateWorld(1)
  user = world.users[0] as SystemUser
  other = join(world.home.ssh, 'id_ed25519')
  await makeKey(other)
  otherLine = (await readFile(`${other}.pub`, 'utf8')).trim()
  password = join(world.home.path, 'password')
  await writeFile(password, `${user.password}\n`)
})

afterAll(() => world.dispose())

const remove = (...args: string[]) => world.ours(['remove-pubkey', ...args, world.wordOf(user)])
const byPassword = (...args: string[]) => remove('--password-file', password, ...args)

test('every line of the key goes, whatever stands around it; all else stays byte for byte; OpenSSH agrees', async () => {
  const blob = world.oldLine.split(' ').slice(0, 2).join(' ')
  const lines = [
    `# ${world.oldLine}\r\n`,
    `${world.oldLine}\n`,
    `${otherLine}\n`,
    `  no-pty,from="127.0.0.1" ${blob}\r\n`,
    `cert-authority ${world.oldLine}\n`,
    `nonsense ${world.oldLine}\n`,
    `${blob} another \xe9 comment`,
  ]
  await writeFile(user.authorizedKeysFile, Buffer.from(lines.join(''), 'latin1'))
  const result = await remove('-i', world.old)
  const path = '~/.ssh/authorized_keys'
  expect(result).toMatchObject({
    status: 0,
    stderr: '',
    stdout: `${world.wordOf(user)}  ok removed from ${path} lines 2, 4, 7, refused since\n`,
  })
  const left = [0, 2, 4, 5].map(index => lines[index]).join('')
  expect((await readFile(user.authorizedKeysFile)).toString('latin1')).toBe(left)
  expect([await world.logsIn(user, world.old), await world.logsIn(user, other)]).toEqual([false, true])
  // Once more: it is not there, and that is well.
  expect(await remove('-i', world.old)).toMatchObject({
    status: 0,
    stdout: expect.stringContaining(`ok was not in ${path}`),
  })
  expect((await readFile(user.authorizedKeysFile)).toString('latin1')).toBe(left)
})

test('only the public half is here: the server is asked whether it takes the key still', async () => {
  const third = join(world.home.path, 'third')
  await makeKey(third)
  const line = (await readFile(`${third}.pub`, 'utf8')).trim()
  await rename(third, `${third}.gone`)
  await world.write(user, `${otherLine}\n${line}\n`)
  const result = await remove('-i', `${third}.pub`, '--json')
  expect(JSON.parse(result.stdout)).toMatchObject([
    { state: 'removed', code: 0, detail: expect.stringMatching(/refused since$/) },
  ])
  expect(await world.read(user)).toBe(`${otherLine}\n`)
})

test('--dry-run changes nothing', async () => {
  await world.write(user, `${otherLine}\n${world.oldLine}\n`)
  const files = await readdir(world.home.path, { recursive: true })
  expect(await remove('-i', world.old, '--dry-run')).toMatchObject({
    status: 0,
    stdout: expect.stringContaining('would be removed from ~/.ssh/authorized_keys line 2'),
  })
  expect(await world.read(user)).toBe(`${otherLine}\n${world.oldLine}\n`)
  expect(await readdir(world.home.path, { recursive: true })).toEqual(files)
})

describe('the key that let us in', () => {
  const alone = () => world.write(user, `${world.oldLine}\n`)
  /** A server for the same account that takes no password. */
  let keysOnly: Sshd

  beforeAll(async () => {
    keysOnly = await startSshd({ users: [user], passwordUsers: [] })
    await appendFile(join(world.home.ssh, 'known_hosts'), keysOnly.knownHosts)
  })
  afterAll(() => keysOnly.stop())

  const removeThere = (...args: string[]) =>
    world.ours(['remove-pubkey', ...args, `ssh://${user.name}@127.0.0.1:${keysOnly.port}`])

  test('goes where a password would do as well', async () => {
    await alone()
    expect(await remove('-i', world.old)).toMatchObject({ status: 0, stdout: expect.stringContaining('refused since') })
    expect(await world.read(user)).toBe('')
  })

  test('goes not when it is the only way in: 4; by password, or with --force, it goes', async () => {
    await alone()
    const refused = await removeThere('-i', world.old)
    expect(refused).toMatchObject({ status: 4, stderr: expect.stringContaining('no other key here is let in') })
    expect(await removeThere('-i', world.old, '--dry-run')).toMatchObject({ status: 4 })
    expect(await world.read(user)).toBe(`${world.oldLine}\n`)
    expect(await byPassword('-i', world.old)).toMatchObject({ status: 0 })
    expect(await world.read(user)).toBe('')
    await alone()
    expect(await removeThere('-i', world.old, '--force')).toMatchObject({ status: 0 })
    expect(await world.read(user)).toBe('')
    expect(await world.logsIn(user, world.old)).toBe(false)
  })

  test('… nor where only its public half was named, and ssh’s usual place has the other', async () => {
    await world.write(user, `${otherLine}\n`)
    const copy = join(world.home.path, 'copy.pub')
    await writeFile(copy, `${otherLine}\n`)
    expect(await removeThere('-i', copy)).toMatchObject({ status: 4 })
    expect(await world.read(user)).toBe(`${otherLine}\n`)
  })

  test('… nor where the other key that the server takes can’t be opened here', async () => {
    const locked = join(world.home.ssh, 'id_ecdsa')
    await runOrThrow(peerPath('ssh-keygen'), ['-q', '-t', 'ecdsa', '-a', '1', '-N', 'forgotten', '-f', locked])
    try {
      const text = `${world.oldLine}\n${await readFile(`${locked}.pub`, 'utf8')}`
      await world.write(user, text)
      const wrong = join(world.home.path, 'wrong')
      await writeFile(wrong, 'not this\n')
      for (const more of [[], ['--passphrase-file', wrong]]) {
        expect(await removeThere('-i', world.old, ...more)).toMatchObject({ status: 4 })
        expect(await world.read(user)).toBe(text)
      }
    } finally {
      for (const file of [locked, `${locked}.pub`]) await rm(file)
    }
  })

  test('… nor where the server wants it and a password; refused is what it is no more, and not what is half taken', async () => {
    const config = [
      'PasswordAuthentication yes',
      'AuthenticationMethods publickey,password',
      'AuthorizedKeysFile .ssh/authorized_keys .ssh/more',
    ]
    const sshd = await startSshd({ users: [user], config })
    const more = join(user.home, '.ssh', 'more')
    const askpass = join(world.home.path, 'askpass')
    await writeFile(askpass, `#!/bin/sh\ncat '${password}'\n`, { mode: 0o700 })
    const env = { ...world.home.env, SSH_ASKPASS: askpass, SSH_ASKPASS_REQUIRE: 'force' }
    const line = ['remove-pubkey', '-i', world.old, '--json', `ssh://${user.name}@127.0.0.1:${sshd.port}`]
    try {
      await appendFile(join(world.home.ssh, 'known_hosts'), sshd.knownHosts)
      await world.write(user, `${world.oldLine}\n`)
      expect(await world.ours(line, { env })).toMatchObject({ status: 4 })
      expect(await world.read(user)).toBe(`${world.oldLine}\n`)
      // Another one that is half taken, too, is a way in for whoever has the password.
      await world.write(user, `${world.oldLine}\n${otherLine}\n`)
      expect(await world.ours(line, { env })).toMatchObject({ status: 0 })
      expect(await world.read(user)).toBe(`${otherLine}\n`)
      await world.write(user, `${world.oldLine}\n`)
      await writeFile(more, `${world.oldLine}\n`)
      const result = await world.ours([...line, '--force'], { env })
      expect(result.status).toBe(1)
      expect(JSON.parse(result.stdout)).toMatchObject([{ state: 'still-admitted', code: 1 }])
    } finally {
      await rm(more, { force: true })
      await sshd.stop()
    }
  })

  test('goes where another key here is let in, too', async () => {
    await world.write(user, `${world.oldLine}\n${otherLine}\n`)
    expect(await removeThere('-i', world.old)).toMatchObject({ status: 0 })
    expect(await world.read(user)).toBe(`${otherLine}\n`)
  })

  test('is in no file of ours, and lets us in all the same: 1, with the line', async () => {
    const sshd = await startSshd({ users: [user], config: ['AuthorizedKeysFile .ssh/authorized_keys .ssh/more'] })
    const more = join(user.home, '.ssh', 'more')
    try {
      await appendFile(join(world.home.ssh, 'known_hosts'), sshd.knownHosts)
      await writeFile(more, `# first\n${world.oldLine}\n`)
      for (const text of ['', `${world.oldLine}\n${otherLine}\n`]) {
        await world.write(user, text)
        const line = ['remove-pubkey', '-i', world.old, '--json', `ssh://${user.name}@127.0.0.1:${sshd.port}`]
        const result = await world.ours(line)
        expect(result.status).toBe(1)
        expect(JSON.parse(result.stdout)).toMatchObject([
          { state: 'still-admitted', code: 1, detail: expect.stringContaining(`${more} line 2`) },
        ])
      }
      expect(await world.read(user)).toBe(`${otherLine}\n`)
    } finally {
      await rm(more, { force: true })
      await sshd.stop()
    }
  })
})

test('a line that spells the key in another way, which sshd takes for the same, goes, too', async () => {
  const rsa = join(world.home.path, 'rsa')
  await runOrThrow(peerPath('ssh-keygen'), ['-q', '-t', 'rsa', '-b', '2048', '-N', '', '-f', rsa])
  const [type, blob = ''] = (await readFile(`${rsa}.pub`, 'utf8')).split(' ')
  const bytes = Buffer.from(blob, 'base64')
  // string type, mpint e of 3 bytes, mpint n of 257: one more zero in front.
  const at = 4 + 7 + 4 + 3
  const longer = Buffer.concat([bytes.subarray(0, at), Buffer.of(0, 0, 1, 2, 0), bytes.subarray(at + 4)])
  await world.write(user, `${type} ${longer.toString('base64')} other\n`)
  expect(await world.logsIn(user, rsa)).toBe(true)
  expect(await byPassword('-i', rsa)).toMatchObject({ status: 0, stdout: expect.stringContaining('line 1, refused') })
  expect(await world.read(user)).toBe('')
})

test('in no file of ours, and let in all the same: 1, also where a password let us in', async () => {
  const config = ['AuthorizedKeysFile .ssh/authorized_keys .ssh/more']
  const sshd = await startSshd({ users: [user], config, hostKeyFiles: world.sshd.hostKeyFiles })
  const more = join(user.home, '.ssh', 'more')
  try {
    await appendFile(join(world.home.ssh, 'known_hosts'), sshd.knownHosts)
    await writeFile(more, `${world.oldLine}\n`)
    const place = `ssh://${user.name}@127.0.0.1:${sshd.port}`
    const result = await world.ours(['remove-pubkey', '-i', world.old, '--password-file', password, '--json', place])
    expect(result.status).toBe(1)
    expect(JSON.parse(result.stdout)).toMatchObject([
      { state: 'still-admitted', code: 1, detail: expect.stringContaining(`${more} line 1`) },
    ])
  } finally {
    await rm(more, { force: true })
    await sshd.stop()
  }
})

test('a file in UTF-16 is left as it is: 6; a missing key file 3, no host 2', async () => {
  const text = Buffer.from(`\ufeff${world.oldLine}\n`, 'utf16le')
  await writeFile(user.authorizedKeysFile, text)
  expect(await byPassword('-i', world.old)).toMatchObject({ status: 6 })
  expect(await readFile(user.authorizedKeysFile)).toEqual(text)
  expect(await remove('-i', join(world.home.path, 'none'))).toMatchObject({ status: 3 })
  expect(await world.ours(['remove-pubkey', '-i', world.old])).toMatchObject({ status: 2 })
})
