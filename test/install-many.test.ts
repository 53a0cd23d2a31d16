import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { jest } from '@jest/globals'
import { type InstallWorld, openInstallWorld, openSilentHost } from './install-world.js'
import { eventually } from './tunnel-cli-fixture.js'
import { findFreePort } from './world/port.js'
import { residentKeytool } from './world/resident.js'
import { keytoolPath, run } from './world/run.js'
import { startKeytool } from './world/start.js'

// `keytool install-pubkey` on many hosts at once, against OpenSSH's server: 38 homes of one account.

jest.setTimeout(240_000)

let world: InstallWorld

beforeAll(async () => {
  world = await openInstallWorld(38)
})

beforeEach(() => world.clear())

afterAll(() => world.dispose())

const words = () => world.hosts.map(({ word }) => word)
const byPassword = (...args: string[]) => world.install('--password-file', world.password, ...args)
const keysThere = () => Promise.all(world.hosts.map(host => host.read()))

test('40 hosts: one refuses, one never says a word and delays nobody; the rest is offered again', async () => {
  const silent = await openSilentHost()
  const free = await findFreePort()
  const closed = `ssh://x@127.0.0.1:${free}`
  const mute = `ssh://x@127.0.0.1:${silent.port}`
  const args = ['--password-file', world.password, '--parallel', '8', closed, mute, ...words()]
  const running = await startKeytool(['install-pubkey', ...args], { env: world.home.env, cwd: world.home.path })
  await silent.visited
  // All others are done while it still holds on.
  const line = await world.publicLine()
  await eventually(keysThere, there => there.every(text => text === line), 60_000)
  await eventually(logins, number => number >= 2 * 38, 60_000)
  await silent.close()
  expect(await running.exit).toMatchObject({ status: 7 })
  const table = running.stdout.text.trimEnd().split('\n')
  const row = (word: string) => table.find(each => each.startsWith(word)) ?? ''
  for (const word of words()) {
    expect(row(word)).toMatch(/ {2}ok +added to ~\/\.ssh\/authorized_keys line 1, verified with this key alone by that/)
  }
  expect(row(closed)).toContain('failed 127.0.0.1')
  expect(row(mute)).toContain('failed 127.0.0.1')
  expect(table.slice(-2)).toEqual([
    '38 of 40 hosts ready. Again for the rest:',
    `  keytool install-pubkey --password-file ~/password --parallel 8 ${closed} ${mute}`,
  ])
  // Errors stand together, each with its host.
  expect(running.stderr.text).toMatch(/^keytool: .*127\.0\.0\.1:\d+ .*\n( {2}.*\n){0,2}keytool: .*127\.0\.0\.1:\d+/)
})

async function logins(): Promise<number> {
  return world.sshds
    .map(sshd => sshd.log().match(/Accepted (password|publickey)/g)?.length ?? 0)
    .reduce((a, b) => a + b)
}

test('again changes nothing; the same host under two names is one; --json says each in the order they were named', async () => {
  const [first, second] = world.hosts
  if (!first || !second) throw new Error('there are hosts')
  const alias = `Host first\n HostName ${first.address}\n Port ${first.port}\n User ${world.user.name}\n`
  await writeFile(join(world.home.ssh, 'config'), alias)
  const twice = [first.word, 'first', second.word]
  expect(await byPassword(...twice)).toMatchObject({ status: 0, stderr: '' })
  const before = await keysThere()
  const { status, stdout, stderr } = await byPassword('--json', ...twice)
  expect([status, stderr]).toEqual([0, ''])
  const detail = 'was there already, ~/.ssh/authorized_keys line 1, verified with this key alone by that line'
  const named = { user: world.user.name, state: 'present', code: 0, detail }
  expect(JSON.parse(stdout)).toEqual([
    { host: first.word, ...named },
    { host: second.word, ...named },
  ])
  expect(await keysThere()).toEqual(before)
})

test('--hosts takes them from a file; whom only the file can name, the line for the rest leaves to it', async () => {
  const [first, second, third] = world.hosts
  if (!first || !second || !third) throw new Error('there are hosts')
  const free = await findFreePort()
  const user = world.user.name
  const file = join(world.home.path, 'hosts')
  await writeFile(file, `# ours\n${first.word}\r\n\n${second.word}\n${first.word}\nssh://x@127.0.0.1:${free}\n`)
  const list = await byPassword('--hosts', file, third.word)
  expect(list.status).toBe(7)
  expect(list.stdout).toContain(
    `3 of 4 hosts ready. Again for the rest:\n  keytool install-pubkey --password-file ~/password ssh://x@127.0.0.1:${free}\n`,
  )
  const inventory = join(world.home.path, 'hosts.ini')
  await writeFile(
    inventory,
    `[web]\none ansible_host=${first.address} ansible_port=${first.port} ansible_user=${user}\n` +
      `two ansible_host=127.0.0.1 ansible_port=${free} ansible_user=${user} ansible_ssh_private_key_file=~/none\n`,
  )
  const named = await byPassword('--hosts', inventory)
  expect(named.stdout).toMatch(/^one {2}ok +was there already/)
  expect(named.stdout).toContain(`\n  keytool install-pubkey --password-file ~/password --hosts ~/hosts.ini\n`)
})

test('--hosts - reads them from standard input, which then gives no secret', async () => {
  const line = ['install-pubkey', '--hosts', '-', '--password-file']
  const options = { env: world.home.env, input: `${words().slice(0, 3).join('\n')}\n` }
  const result = await residentKeytool([...line, world.password], options)
  expect(result).toMatchObject({ status: 0, stderr: '' })
  expect(result.stdout.match(/verified with this key alone/g)).toHaveLength(3)
  expect(await residentKeytool([...line, '-'], options)).toMatchObject({ status: 2, stdout: '' })
  for (const bad of ['', '# nobody\n']) {
    expect((await residentKeytool([...line, world.password], { ...options, input: bad })).status).toBe(2)
  }
  expect((await byPassword('--hosts', join(world.home.path, 'none'))).status).toBe(3)
  expect((await byPassword()).status).toBe(2)
})

test('a server that turns most of them away is tried again until it has room', async () => {
  const crowded = await openInstallWorld(8, ['MaxStartups 2:100:2'])
  try {
    const result = await crowded.install('--password-file', crowded.password, ...crowded.hosts.map(({ word }) => word))
    expect(result).toMatchObject({ status: 0, stderr: '' })
    expect(result.stdout.match(/verified with this key alone/g)).toHaveLength(8)
    expect(crowded.sshds[0]?.log()).toMatch(/beginning MaxStartups throttling/)
  } finally {
    await crowded.dispose()
  }
})

test('those behind a bastion go through one login there', async () => {
  const [bastion, ...others] = world.hosts
  const behind = others.filter(({ port }) => port !== bastion?.port).slice(0, 5)
  if (!bastion) throw new Error('there are hosts')
  expect((await byPassword(bastion.word)).status).toBe(0)
  const before = world.sshds[0]?.log().length ?? 0
  const jump = `${world.user.name}@${bastion.address}:${bastion.port}`
  const result = await byPassword('-J', jump, ...behind.map(({ word }) => word))
  expect(result).toMatchObject({ status: 0, stderr: '' })
  expect(
    world.sshds[0]
      ?.log()
      .slice(before)
      .match(/Accepted publickey/g),
  ).toHaveLength(1)
  expect(await Promise.all(behind.map(host => host.read()))).toEqual(Array(5).fill(await world.publicLine()))
})

test('whoever reads only the first line has what they want, and every host has the key', async () => {
  const few = world.hosts.slice(0, 5)
  const script = `"$@" | head -n 1`
  const line = [process.execPath, keytoolPath, 'install-pubkey', '--password-file', world.password]
  const result = await run('/bin/sh', ['-c', script, 'sh', ...line, ...few.map(({ word }) => word)], {
    env: world.home.env,
  })
  expect(result).toMatchObject({ status: 0, stderr: '' })
  expect(result.stdout.split('\n')).toHaveLength(2)
  expect(await Promise.all(few.map(host => host.read()))).toEqual(Array(5).fill(await world.publicLine()))
})

test('SIGINT ends it: what is done is said, and what is not', async () => {
  const silent = await openSilentHost()
  const [first] = world.hosts
  const mute = `ssh://x@127.0.0.1:${silent.port}`
  const before = world.sshds[0]?.log().length
  const args = ['install-pubkey', '--password-file', world.password, '--parallel', '2', mute, first?.word ?? '']
  const running = await startKeytool([...args, mute.replace('x@', 'y@')], { env: world.home.env, cwd: world.home.path })
  try {
    await silent.visited
    await eventually(
      async () => world.sshds[0]?.log().slice(before) ?? '',
      log => log.includes('Accepted publickey'),
    )
    process.kill(running.pid, 'SIGINT')
    expect(await running.exit).toEqual({ status: 130, signal: null })
    expect(running.stdout.text).toMatch(/^ssh:\S+ +failed stopped before it was done$/m)
  } finally {
    await silent.close()
  }
})
