import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { jest } from '@jest/globals'
import { type InstallWorld, openInstallWorld, openSilentHost } from './install-world.js'
import { keytoolPath, run } from './world/run.js'
import { openTerminal, type Terminal } from './world/terminal.js'

// What `keytool install-pubkey` asks when it goes to several hosts at once: one question at a time.

jest.setTimeout(120_000)

let world: InstallWorld
let terminal: Terminal | undefined

beforeAll(async () => {
  world = await openInstallWorld(3)
})

beforeEach(() => world.clear())

afterEach(async () => {
  await terminal?.close()
  terminal = undefined
})

afterAll(() => world.dispose())

const line = (...more: string[]) => [
  ...[process.execPath, keytoolPath, 'install-pubkey', ...more],
  ...world.hosts.map(({ word }) => word),
]
const keysThere = () => Promise.all(world.hosts.map(host => host.read()))

async function open(...more: string[]): Promise<Terminal> {
  terminal = await openTerminal(line(...more), { env: world.home.env, cols: 140, rows: 70 })
  return terminal
}

test('the first password is offered to the others, and typed once', async () => {
  const { type, waitFor, exitStatus, transcript } = await open()
  await waitFor(/password for/)
  await type(`${world.user.password}\r`)
  await waitFor(/use this password for the other 2 hosts, too\?/)
  await type('y\r')
  expect(await exitStatus()).toBe(0)
  expect(await keysThere()).toEqual(Array(3).fill(await world.publicLine()))
  const shown = await transcript()
  expect(shown).not.toContain(world.user.password)
  expect(new Set(shown.match(/password for \S+@127\.2\.0\.\d/g))).toHaveProperty('size', 1)
})

test('whoever says no is asked for each host, by name, and never again whether it is for all', async () => {
  const { type, waitFor, exitStatus, screen, transcript } = await open('--parallel', '3')
  const asked = new Set<string>()
  for (let i = 0; i < 3; i++) {
    const pattern = new RegExp(
      `password for \\S+@(127\\.2\\.0\\.[${[1, 2, 3].filter(n => !asked.has(`127.2.0.${n}`)).join('')}])`,
    )
    asked.add((await waitFor(pattern))[1] ?? '')
    await type(`${world.user.password}\r`)
    if (i > 0) continue
    await waitFor(/use this password for the other 2 hosts/)
    await type('\r')
  }
  expect(await exitStatus()).toBe(0)
  expect(await screen()).toMatch(/✓ added to/)
  expect(await keysThere()).toEqual(Array(3).fill(await world.publicLine()))
  expect(new Set((await transcript()).match(/other \d hosts?/g))).toEqual(new Set(['other 2 hosts']))
})

test('Ctrl-C at the second question: what is done stands and is said, the others are as they were', async () => {
  const { type, waitFor, exitStatus, screen } = await open('--parallel', '1')
  await waitFor(/password for \S+@127\.2\.0\.1/)
  await type(`${world.user.password}\r`)
  await waitFor(/use this password/)
  await type('n\r')
  await waitFor(/password for \S+@127\.2\.0\.2/)
  await type('\x03')
  expect(await exitStatus()).toBe(130)
  const last = await screen()
  expect(last).toMatch(/127\.2\.0\.1:\d+ +✓ added to/)
  expect(last).toMatch(/127\.2\.0\.2:\d+ +✗ stopped before it was done/)
  expect(last).toMatch(/1 of 3 hosts ready\. Again for the rest:/)
  expect(await keysThere()).toEqual([await world.publicLine(), '', ''])
})

test('unknown hosts are asked about one after the other, each with its own lines', async () => {
  await rm(join(world.home.ssh, 'known_hosts'))
  const { type, waitFor, exitStatus, screen } = await open('--password-file', world.password)
  for (const answered of [0, 1, 2]) {
    const before = `([\\s\\S]*Is that right\\?.* yes\\n){${answered}}`
    await waitFor(new RegExp(`^${before}[\\s\\S]*Is that right\\? \\(yes/no/\\[fingerprint\\]\\) *$`))
    await type('yes\r')
  }
  expect(await exitStatus()).toBe(0)
  const asked = (await screen()).match(/the host key of \[127\.2\.0\.\d\]:\d+ is not known yet|Is that right/g) ?? []
  expect(asked.map(text => text.startsWith('Is'))).toEqual([false, true, false, true, false, true])
  expect(new Set(asked)).toHaveProperty('size', 4)
})

test('an askpass program is run for one host at a time, and told which', async () => {
  const { home } = world
  const askpass = join(home.path, 'askpass')
  const asked = join(home.path, 'asked')
  await writeFile(
    askpass,
    `#!/bin/sh\nmkdir '${home.path}/busy' || echo twice >>'${asked}'\necho "$1" >>'${asked}'\nsleep 0.1\nrmdir '${home.path}/busy'\ncat '${world.password}'\n`,
    { mode: 0o755 },
  )
  await writeFile(
    join(home.ssh, 'known_hosts'),
    world.sshds.map(({ knownHosts }) => knownHosts.replaceAll('[127.0.0.1]', '[127.*]')).join(''),
  )
  const env = { ...home.env, SSH_ASKPASS: askpass, SSH_ASKPASS_REQUIRE: 'force' }
  const [program = '', ...args] = line()
  expect(await run(program, args, { env })).toMatchObject({ status: 0, stderr: '' })
  const { stdout } = await run('/usr/bin/sort', [asked])
  expect(stdout).toBe(world.hosts.map(({ address }) => `password for ${world.user.name}@${address}: \n`).join(''))
})

test('a server that hangs up while somebody thinks is gone to again, with what they typed', async () => {
  const hasty = await openInstallWorld(2, ['LoginGraceTime 4'])
  try {
    const words = hasty.hosts.map(({ word }) => word)
    terminal = await openTerminal([process.execPath, keytoolPath, 'install-pubkey', ...words], {
      env: hasty.home.env,
      cols: 140,
    })
    const { type, waitFor, exitStatus } = terminal
    const [, first = ''] = await waitFor(/password for \S+@(127\.2\.0\.\d)/)
    // Then its patience is over for certain. It does not say so before it gets the answer.
    await sleep(4_500)
    await type(`${hasty.user.password}\r`)
    await waitFor(/use this password for the other host, too/)
    await type('n\r')
    await waitFor(new RegExp(`password for \\S+@127\\.2\\.0\\.${first.endsWith('1') ? 2 : 1}`))
    await type(`${hasty.user.password}\r`)
    expect(await exitStatus()).toBe(0)
    expect(await Promise.all(hasty.hosts.map(host => host.read()))).toEqual(Array(2).fill(await hasty.publicLine()))
  } finally {
    await hasty.dispose()
  }
})

test('how far it is stands at the foot of the terminal; Ctrl-C ends what never would, and takes it away', async () => {
  const silent = await openSilentHost()
  try {
    const mute = `ssh://x@127.0.0.1:${silent.port}`
    const { type, waitFor, exitStatus, screen } = await open('--password-file', world.password, mute)
    await waitFor(/3 of 4 hosts done {2}\d+ s\n {2}ssh:\/\/x@127\.0\.0\.1:\d+ {2}connecting {2}\d+ s/, 40_000)
    await type('\x03')
    expect(await exitStatus()).toBe(130)
    const last = await screen()
    expect(last).toMatch(/ssh:\/\/x@127\.0\.0\.1:\d+ +✗ stopped before it was done/)
    expect(last).toContain('3 of 4 hosts ready. Again for the rest:')
    expect(last).not.toContain('hosts done')
  } finally {
    await silent.close()
  }
})
