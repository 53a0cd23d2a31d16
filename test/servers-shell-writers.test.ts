import { createHash } from 'node:crypto'
import { access, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { jest } from '@jest/globals'
import { generate, type PublicKey } from '@keytool/keygen'
import {
  addKeyLine,
  type Connection,
  changeKeyFile,
  connect,
  formatAuthorizedKey,
  installPublicKey,
  openKeyFile,
  removePublicKey,
} from '@keytool/tunnel'
import { replaceScript } from '../packages/tunnel/src/servers/scripts.js'
import { openShellWorld, type ShellWorld } from './servers-shell-world.js'
import { run, runOrThrow } from './world/run.js'
import { startSshd } from './world/sshd.js'

// Many writers of one authorized_keys on a real sshd: none loses what another wrote.

jest.setTimeout(120_000)

const WRITERS = 20

let world: ShellWorld
let keys: PublicKey[]

beforeAll(async () => {
  world = await openShellWorld()
  const made = Array.from({ length: WRITERS }, (_, index) => generate('ed25519', { comment: `key ${index}` }))
  keys = (await Promise.all(made)).map(({ publicKey }) => publicKey)
})

afterAll(() => world.close())

const lock = () => join(world.user.home, '.ssh', '.authorized_keys.keytool-lock')
const lines = (of: readonly PublicKey[]) => of.map(key => formatAuthorizedKey(key)).sort()

async function install(connection: Connection, key: PublicKey, way: 'shell' | 'sftp' = 'shell'): Promise<string> {
  return (await installPublicKey(await openKeyFile(connection, { way }), key)).state
}

async function contentLines(): Promise<string[]> {
  const content = (await world.content()).toString()
  expect(content.endsWith('\n')).toBe(true)
  return content.trimEnd().split('\n').sort()
}

/** Looks again and again: what was appended to an old file is appended to the new one two seconds later. */
async function untilContent(is: (content: string) => boolean): Promise<void> {
  for (const end = Date.now() + 20_000; Date.now() < end; await sleep(50)) {
    if (is((await world.content()).toString())) return
  }
}

test.each([
  ['by a shell', WRITERS, () => 'shell' as const],
  ['by shells and by SFTP', 8, (index: number) => (index % 2 === 0 ? ('shell' as const) : ('sftp' as const))],
])('many at once lose nothing: %s, %i of them', async (_what, count, way) => {
  await world.begin()
  const connections = await Promise.all([1, 2, 3].map(() => world.enter()))
  try {
    const all = [world.connection, ...connections]
    const some = keys.slice(0, count)
    const work = some.map((key, index) => install(all[index % all.length] ?? world.connection, key, way(index)))
    expect(new Set(await Promise.all(work))).toEqual(new Set(['added']))
    expect(await contentLines()).toEqual(lines(some))
    expect(await world.leftovers()).toEqual([])
    // Some go while others come.
    const coming = keys.slice(-4)
    const going = some.slice(0, 4)
    await Promise.all([
      ...going.map(async key => removePublicKey(await openKeyFile(world.connection), key)),
      ...coming.map((key, index) => install(connections[index % 3] ?? world.connection, key, way(index))),
    ])
    expect(await contentLines()).toEqual(lines([...new Set([...some.slice(4), ...coming])]))
    expect(await world.leftovers()).toEqual([])
  } finally {
    for (const connection of connections) await connection.close()
  }
})

test('the same key by many at once is one line', async () => {
  await world.begin('# mine\n')
  const [key] = keys
  if (!key) throw new Error('no key')
  const states = await Promise.all(Array.from({ length: 8 }, () => install(world.connection, key)))
  expect(states.filter(state => state === 'added')).toHaveLength(1)
  expect((await world.content()).toString()).toBe(`# mine\n${formatAuthorizedKey(key)}\n`)
})

describe('a program that only appends, such as ssh-copy-id', () => {
  test('loses nothing, and we lose nothing, at the same time', async () => {
    await world.begin('# mine\n')
    const { authorizedKeysFile, uid, gid } = world.user
    const append = 'i=0; while [ $i -lt 60 ]; do i=$((i+1)); echo "# other $i" | cat >> "$1"; done'
    const appending = run('/usr/bin/setpriv', [
      `--reuid=${uid}`,
      `--regid=${gid}`,
      '--clear-groups',
      'sh',
      '-c',
      append,
      'sh',
      authorizedKeysFile,
    ])
    for (const key of keys.slice(0, 6)) await install(world.connection, key)
    await appending
    const others = Array.from({ length: 60 }, (_, index) => `# other ${index + 1}`)
    const all = ['# mine', ...others, ...lines(keys.slice(0, 6))].sort()
    // One that wrote last, and late, is caught up with a moment later.
    await untilContent(content => content.trimEnd().split('\n').length >= all.length)
    expect(await contentLines()).toEqual(all)
  })

  /** Changes the file while such a program has it open, which then writes. */
  async function changeWhileOpen(change: () => Promise<unknown>): Promise<string> {
    const { authorizedKeysFile, uid, gid } = world.user
    const script =
      'exec 4>> "$1"; : > "$1.open"; until [ -e "$1.go" ]; do sleep 0.02; done; printf "%s\\n" "# late" "# and later" >&4; rm "$1.open" "$1.go"'
    const user = [`--reuid=${uid}`, `--regid=${gid}`, '--clear-groups']
    const appending = run('/usr/bin/setpriv', [...user, 'sh', '-c', script, 'sh', authorizedKeysFile])
    const isOpen = () =>
      access(`${authorizedKeysFile}.open`).then(
        () => true,
        () => false,
      )
    for (let tries = 0; tries < 1500 && !(await isOpen()); tries++) await sleep(10)
    try {
      await change()
    } finally {
      await writeFile(`${authorizedKeysFile}.go`, '')
      await appending
    }
    await untilContent(content => content.includes('# and later'))
    expect(await world.leftovers()).toEqual([])
    return (await world.content()).toString()
  }

  test('also when it opened the file before, and writes after it was replaced', async () => {
    await world.begin('# mine\n')
    const [key] = keys
    if (!key) throw new Error('no key')
    const text = await changeWhileOpen(async () => expect(await install(world.connection, key)).toBe('added'))
    expect(text).toBe(`# mine\n${formatAuthorizedKey(key)}\n# late\n# and later\n`)
  })

  test('… and the new file has no newline at its end: neither line becomes part of the other', async () => {
    await world.begin('# mine\n')
    const file = await openKeyFile(world.connection)
    const text = await changeWhileOpen(async () =>
      expect(await file.replace(Buffer.from('# mine\n'), Buffer.from('# as it was'))).toBe(true),
    )
    expect(text).toBe('# as it was\n# late\n# and later\n')
  })

  test('nothing is made again of a file that is removed meanwhile', async () => {
    await world.begin('# mine\n')
    const [key] = keys
    if (!key) throw new Error('no key')
    await install(world.connection, key)
    await world.begin()
    await sleep(2500)
    expect(await world.leftovers()).toEqual([])
    await expect(world.content()).rejects.toThrow('ENOENT')
  })
})

describe('a lock', () => {
  test('of a writer that is at work is waited for', async () => {
    await world.begin('# mine\n')
    await writeFile(lock(), '')
    const [key] = keys
    if (!key) throw new Error('no key')
    const work = install(world.connection, key)
    expect(await Promise.race([work, sleep(500).then(() => 'waits')])).toBe('waits')
    await runOrThrow('/bin/rm', [lock()])
    expect(await work).toBe('added')
    expect(await world.leftovers()).toEqual([])
  })

  test('left by one that died, over a minute ago, is taken away with what it had begun', async () => {
    await world.begin('# mine\n')
    await writeFile(lock(), 'somebody\n')
    const old = Date.now() / 1000 - 70
    await utimes(lock(), old, old)
    const begun = join(world.user.home, '.ssh', '.authorized_keys.keytool-new-0123')
    await writeFile(begun, '# half')
    const [key] = keys
    if (!key) throw new Error('no key')
    expect(await install(world.connection, key)).toBe('added')
    expect(await world.leftovers()).toEqual([])
  })

  test.each([
    ['a pipe that nobody reads', ['mkfifo', '"$1"']],
    ['a link to a device', ['ln', '-s', '/dev/null', '"$1"']],
    ['a link to a file of the user’s own', ['ln', '-s', 'authorized_keys', '"$1"']],
    ['a link to nowhere', ['ln', '-s', 'nowhere', '"$1"']],
  ])('that is none, but %s, keeps nobody for ever and changes nothing else', async (_what, make) => {
    await world.begin('# mine\n')
    await runOrThrow('/bin/sh', ['-c', `${make.join(' ')} && touch -h -d '2 minutes ago' "$1"`, 'sh', lock()])
    const [key] = keys
    if (!key) throw new Error('no key')
    expect(await install(world.connection, key)).toBe('added')
    expect(await contentLines()).toEqual(['# mine', ...lines([key])])
    expect(await world.leftovers()).toEqual([])
  })

  test('that nobody ever lets go of ends in an error, and the file is as it was', async () => {
    await world.begin('# mine\n')
    await writeFile(lock(), '')
    const bin = join(world.user.home, 'bin')
    await runOrThrow('/bin/mkdir', [bin])
    // Time flies.
    await writeFile(join(bin, 'sleep'), '#!/bin/sh\n[ "$1" = 1 ]\n', { mode: 0o755 })
    const sshd = await startSshd({
      users: [world.user],
      config: [`SetEnv PATH=${bin}:/usr/bin:/bin`],
      hostKeyFiles: world.sshd.hostKeyFiles,
    })
    await writeFile(join(world.home.ssh, 'known_hosts'), sshd.knownHosts + world.sshd.knownHosts)
    const connection = await connect(
      world.login({ port: sshd.port, signers: [], askPassword: async () => world.user.password }),
    )
    try {
      const file = await openKeyFile(connection)
      const [key] = keys
      if (!key) throw new Error('no key')
      const change = changeKeyFile(file, bytes => addKeyLine(bytes, key))
      await expect(change).rejects.toMatchObject({
        code: 'failed',
        message: expect.stringContaining('another program is changing'),
      })
      expect((await world.content()).toString()).toBe('# mine\n')
      expect((await world.leftovers()).filter(name => name.includes('keytool'))).toEqual([
        '.ssh/.authorized_keys.keytool-lock',
      ])
    } finally {
      await connection.close()
      await sshd.stop()
    }
  })
})

test('what is asked for by its old bytes is done only while those stand there', async () => {
  await world.begin('# mine\n')
  const file = await openKeyFile(world.connection)
  for (const before of ['', '# mine', '# mime\n'])
    expect(await file.replace(Buffer.from(before), Buffer.from('# no\n'))).toBe(false)
  expect((await world.content()).toString()).toBe('# mine\n')
  expect(await file.replace(Buffer.from('# mine\n'), Buffer.alloc(0))).toBe(true)
  expect(await file.replace(Buffer.alloc(0), Buffer.from('# new\n'))).toBe(true)
  expect((await world.content()).toString()).toBe('# new\n')
  await world.begin()
  expect(await file.replace(Buffer.from('# new\n'), Buffer.from('# no\n'))).toBe(false)
  expect(await world.leftovers()).toEqual([])
})

test.each(['is closed', 'ends its input too early'])(
  'a connection that %s in the middle of the new file leaves the old one, and nothing else',
  async how => {
    await world.begin('# mine\n')
    const connection = await world.enter()
    const session = await connection.openSession({ command: replaceScript })
    session.stdout.resume()
    session.stderr.resume()
    session.stdin.on('error', () => {})
    const sum = (text: string) => createHash('sha256').update(text).digest('hex')
    const head = ['keytool-0123', 'other', 'some', sum('# mine\n'), '0 0', sum('# mine\n# new\n'), '0 0']
    session.stdin.write(`${head.join('\n')}\n# mine\n# n`)
    while (!(await world.leftovers()).some(name => name.includes('keytool-new-'))) await sleep(10)
    expect((await world.content()).toString()).toBe('# mine\n')
    if (how === 'is closed') await connection.close()
    else {
      session.stdin.end()
      expect(await session.exit).toEqual({ status: 1 })
    }
    for (let tries = 0; tries < 2000 && (await world.leftovers()).length > 0; tries++) await sleep(10)
    expect(await world.leftovers()).toEqual([])
    expect((await world.content()).toString()).toBe('# mine\n')
    await connection.close()
  },
)
