import { once } from 'node:events'
import { chmod, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { jest } from '@jest/globals'
import { agentsOwn, findProcesses, startOurAgent, takeSnapshot } from './agent-fixture.js'
import { doctor, type Facts, homeWith, makePair, putInOrder } from './doctor-fixture.js'
import { startDropbear } from './world/dropbear.js'
import type { Environment, Home } from './world/home.js'
import { residentKeytool } from './world/resident.js'
import { createUser } from './world/system-user.js'

// `keytool doctor` alone looks at this machine; and what is no matter of sshd: another
// server, one that means ill.

jest.setTimeout(120_000)

let home: Home
afterEach(() => home.dispose())

const agents = async () => (await findProcesses(home)).filter(({ command }) => command.endsWith(' agent -D'))

async function look(env: Environment = home.env): Promise<Facts> {
  const others = [home.runtime, ...agentsOwn(home)]
  const before = await takeSnapshot(home.path, others)
  const running = await agents()
  const facts = await doctor(home, [], env)
  // Nothing was changed, and no agent started.
  expect(await takeSnapshot(home.path, others)).toEqual(before)
  expect(await agents()).toEqual(running)
  return facts
}

describe('this machine', () => {
  test('agent-missing; the key that is there is to be loaded', async () => {
    home = await homeWith({})
    expect(await look()).toMatchObject({
      host: null,
      ok: false,
      cause: 'agent-missing',
      status: 7,
      remedy: 'eval "$(keytool agent)" && keytool gen --add',
    })
    await makePair(join(home.ssh, 'work'))
    expect((await look()).remedy).toBe('eval "$(keytool agent)" && keytool add ~/.ssh/work')
  })

  test('an agent: without keys, asked by nobody here, locked, and well', async () => {
    home = await homeWith({})
    const agent = await startOurAgent(home)
    try {
      expect(await look(agent.env)).toMatchObject({ cause: 'agent-empty', status: 5 })
      await makePair(join(home.ssh, 'id_ed25519'))
      await residentKeytool(['add'], { env: agent.env })
      expect(await look(home.env)).toMatchObject({
        cause: 'agent-elsewhere',
        status: 7,
        remedy: 'eval "$(keytool agent)"',
      })
      // Nothing starts it at login here, and nobody has to want that.
      expect(await look(agent.env)).toMatchObject({ ok: true, status: 0 })
      expect(await residentKeytool(['agent', 'install', '--kind', 'xdg'], { env: home.env })).toMatchObject({
        status: 0,
      })
      const entry = join(home.path, '.config/autostart/keytool-agent.desktop')
      await writeFile(entry, (await readFile(entry, 'utf8')).replace(/^Exec=.*$/m, 'Exec=/nowhere/keytool agent'))
      expect(await look(agent.env)).toMatchObject({
        cause: 'agent-at-login',
        status: 1,
        remedy: 'keytool agent install',
      })
      await rm(entry)
      await residentKeytool(['lock', '--passphrase-file', '-'], { env: agent.env, input: 'secret\n' })
      expect(await look(agent.env)).toMatchObject({ cause: 'agent-locked', status: 4, remedy: 'keytool unlock' })
    } finally {
      await agent.stop()
    }
  })

  test('agent-silent: one that runs, and does not answer, is not missing', async () => {
    home = await homeWith({})
    const agent = await startOurAgent(home)
    process.kill(agent.pid, 'SIGSTOP')
    try {
      const facts = await look(agent.env)
      expect(facts).toMatchObject({ cause: 'agent-silent', status: 7, remedy: 'keytool list' })
      expect(facts.evidence).toEqual([`runs (pid ${agent.pid}), and does not answer`])
    } finally {
      process.kill(agent.pid, 'SIGCONT')
      await agent.stop()
    }
  })

  test.each<[string, number, (home: Home) => Promise<void>, RegExp]>([
    ['ssh-modes', 4, ({ ssh }) => chmod(ssh, 0o777), /^chmod 700 ~\/\.ssh$/],
    ['ssh-modes', 4, ({ ssh }) => chmod(join(ssh, 'id_ed25519'), 0o644), /^chmod 600 ~\/\.ssh\/id_ed25519$/],
    ['known-hosts', 6, ({ ssh }) => writeFile(join(ssh, 'known_hosts'), '\0'), /known_hosts/],
    ['settings', 6, ({ ssh }) => writeFile(join(ssh, 'config'), 'Port \0\n', { mode: 0o600 }), /config/],
    [
      'session',
      6,
      async ({ path }) => {
        await mkdir(join(path, '.config/keytool/sessions'), { recursive: true, mode: 0o700 })
        await writeFile(join(path, '.config/keytool/sessions/mail.json'), '{', { mode: 0o600 })
      },
      /session edit mail/,
    ],
  ])('%s (%d)', async (cause, status, change, remedy) => {
    home = await homeWith({})
    await makePair(join(home.ssh, 'id_ed25519'))
    await change(home)
    expect(await look()).toMatchObject({ cause, status, remedy: expect.stringMatching(remedy) })
  })

  test('for people: a line each, then the cause', async () => {
    home = await homeWith({})
    const { stdout, status } = await residentKeytool(['doctor'], { env: home.env })
    expect(status).toBe(7)
    expect(stdout.split('\n').slice(0, 5)).toEqual([
      expect.stringMatching(/^ok {6}ssh_config {3}/),
      'ok      known_hosts  0 keys',
      "ok      ~/.ssh       nobody else's (mode 0700)",
      'ok      sessions     0 sessions',
      'failed  agent        none answers',
    ])
    expect(stdout).toMatch(/\nagent-missing: .*\n {2}.*\n.*:\n {2}eval "\$\(keytool agent\)" && keytool gen --add\n$/)
  })
})

test('dropbear: a key that is there, and one that is not, looked for by the other', async () => {
  const user = await createUser()
  const dropbear = await startDropbear()
  try {
    home = await homeWith({})
    for (const name of ['id_ed25519', 'other']) await makePair(join(home.ssh, name))
    await putInOrder(user, await readFile(join(home.ssh, 'id_ed25519.pub')))
    const there = ['-o', 'StrictHostKeyChecking=accept-new', '-p', String(dropbear.port), `${user.name}@127.0.0.1`]
    expect(await doctor(home, there)).toMatchObject({ ok: true, status: 0 })
    const facts = await doctor(home, ['-i', join(home.ssh, 'other'), ...there])
    expect(facts).toMatchObject({ cause: 'key-refused', status: 5 })
    expect(facts.evidence[0]).toMatch(/^~\/\.ssh\/authorized_keys does not hold SHA256:/)
  } finally {
    await dropbear.stop()
    await user.dispose()
  }
})

test('what a server says acts on no terminal, and is no command', async () => {
  home = await homeWith({})
  const sockets: Socket[] = []
  const server = createServer(socket => {
    sockets.push(socket)
    socket.on('error', () => {})
    socket.write('SSH-2.0-\u001b]0;owned\u0007$(touch x)\r\n')
    socket.end(Buffer.alloc(2_000_000, '\u001b[2J'))
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  const args = ['doctor', '-p', String(port), 'x@127.0.0.1']
  for (const more of [[], ['--json'], ['-q']]) {
    const { stdout, stderr } = await residentKeytool([...args, ...more], { env: home.env })
    expect(stdout + stderr).not.toContain('\u001b')
    expect(stdout.length + stderr.length).toBeLessThan(5_000)
  }
  for (const socket of sockets) socket.destroy()
  server.close()
})
