import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import { jest } from '@jest/globals'
import { takeSnapshot } from './agent-fixture.js'
import { doctor, type Facts, homeWith, makePair, putInOrder } from './doctor-fixture.js'
import { eventually } from './tunnel-cli-fixture.js'
import { type Folder, temporaryFolder } from './world/folder.js'
import { newestServers } from './world/newest-sshd.js'
import { findFreePort } from './world/port.js'
import { residentKeytool } from './world/resident.js'
import { type Sshd, startSshd } from './world/sshd.js'
import { start } from './world/start.js'
import { createUser, type SystemUser } from './world/system-user.js'

// `keytool doctor` against what keeps a connection from standing, or a forward from carrying: one fault each, and the one
// cause that is named for it.

jest.setTimeout(120_000)

let folder: Folder
let user: SystemUser
let sshd: Sshd
let old: Sshd
let busy: Sshd
let closed: Sshd
let key: string
let line: string
const servers: Server[] = []
const sockets = new Set<Socket>()

beforeAll(async () => {
  folder = await temporaryFolder()
  key = join(folder.path, 'key')
  user = await createUser()
  const users = [user]
  sshd = await startSshd({ users })
  const { hostKeyFiles } = sshd
  ;[old, busy, closed] = await Promise.all([
    startSshd({ users, hostKeyFiles, config: ['KexAlgorithms diffie-hellman-group14-sha1'] }),
    startSshd({ users, hostKeyFiles, config: ['PerSourceMaxStartups 1'] }),
    startSshd({ users, hostKeyFiles, config: ['AllowTcpForwarding no'] }),
  ])
  await makePair(key)
  line = await readFile(`${key}.pub`, 'utf8')
  await putInOrder(user, line)
})

afterAll(async () => {
  for (const socket of sockets) socket.destroy()
  for (const server of servers) server.close()
  await Promise.all([sshd, old, busy, closed].map(each => each?.stop()))
  await user.dispose()
  await folder.dispose()
})

/** A program that listens on 127.0.0.1. Returns its port. */
async function serve(serve: (socket: Socket) => void): Promise<number> {
  const server = createServer(socket => {
    sockets.add(socket)
    socket.on('error', () => {})
    serve(socket)
  }).listen(0, '127.0.0.1')
  servers.push(server)
  await once(server, 'listening')
  const address = server.address()
  if (typeof address !== 'object' || !address) throw new Error('it does not listen')
  return address.port
}

/** Looks at a server that knows the key and is known, unless said otherwise. */
async function look(args: readonly string[], knownHosts = known()): Promise<Facts> {
  const home = await homeWith({ id_ed25519: { from: key }, 'id_ed25519.pub': line, known_hosts: knownHosts })
  try {
    const before = await takeSnapshot(home.path, [home.runtime])
    const facts = await doctor(home, args)
    // Whatever was found, nothing was changed, and nobody was asked.
    expect(await takeSnapshot(home.path, [home.runtime])).toEqual(before)
    expect(facts.stderr).toBe('')
    return facts
  } finally {
    await home.dispose()
  }
}

const known = () => [sshd, old, busy, closed].map(({ knownHosts }) => knownHosts).join('')
const at = (server: { port: number }, ...more: string[]) => [
  '-p',
  String(server.port),
  ...more,
  `${user.name}@127.0.0.1`,
]

describe('nothing is wrong', () => {
  test('the steps are told, and the status is 0', async () => {
    const facts = await look(at(sshd))
    expect(facts).toMatchObject({ host: `${user.name}@127.0.0.1`, ok: true, cause: null, remedy: null, status: 0 })
    expect(facts.steps.map(({ step, ok }) => [step, ok])).toEqual(
      ['connection', 'greeting', 'host key', 'keys', 'login', 'shell'].map(step => [step, true]),
    )
    expect(facts.steps[1]?.text).toMatch(/^SSH-2\.0-OpenSSH/)
    expect(facts.steps[2]?.text).toContain('~/.ssh/known_hosts line 1')
  })

  test('for people: a line a step, and nothing with --quiet', async () => {
    const home = await homeWith({ id_ed25519: { from: key }, 'id_ed25519.pub': line, known_hosts: known() })
    const { status, stdout, stderr } = await residentKeytool(['doctor', ...at(sshd)], { env: home.env })
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    expect(stdout).toMatch(/^ok {6}connection {2}127\.0\.0\.1:\d+ takes it\nok {6}greeting {4}SSH-2\.0/)
    expect(await residentKeytool(['doctor', '-q', ...at(sshd)], { env: home.env })).toMatchObject({
      status: 0,
      stdout: '',
      stderr: '',
    })
    await home.dispose()
  })

  test('forwards that carry', async () => {
    const port = String(sshd.port)
    const facts = await look(at(sshd, '-L', `0:127.0.0.1:${port}`, '-R', `0:127.0.0.1:${port}`, '-D', '0'))
    expect(facts).toMatchObject({ ok: true, status: 0 })
    expect(facts.steps.filter(({ step }) => step === 'forward')).toHaveLength(3)
  })
})

test('the cause and its remedy for people, and with --quiet as an error of three lines', async () => {
  const home = await homeWith({})
  const people = await residentKeytool(['doctor', 'x@nowhere.invalid'], { env: home.env })
  expect(people).toMatchObject({ status: 7, stderr: '' })
  expect(people.stdout).toBe(
    [
      'failed  name  no address',
      'dns: no address is known for nowhere.invalid',
      "  nowhere.invalid:22 can't be found: no such name",
      'correct the name; whether it is known now:',
      '  getent hosts nowhere.invalid',
      '',
    ].join('\n'),
  )
  const quiet = await residentKeytool(['doctor', '-q', 'x@nowhere.invalid'], { env: home.env })
  expect(quiet).toMatchObject({ status: 7, stdout: '' })
  expect(quiet.stderr.trimEnd().split('\n')).toHaveLength(3)
  await home.dispose()
})

describe('the connection', () => {
  test('dns', async () => {
    expect(await look(['x@nowhere.invalid'])).toMatchObject({
      cause: 'dns',
      status: 7,
      remedy: 'getent hosts nowhere.invalid',
    })
  })

  test('refused: a port where nobody listens', async () => {
    expect(await look(at({ port: await findFreePort() }))).toMatchObject({ cause: 'refused', status: 7 })
  })

  test('timeout: packets that nobody answers', async () => {
    // The queue of a listener that never accepts is full: what comes then is dropped, as by a firewall.
    const full = await start('/usr/bin/python3', ['-c', fullQueue])
    try {
      const [, port = ''] = await full.waitFor(/^(\d+) full$/m)
      const facts = await look(at({ port: Number(port) }, '-o', 'ConnectTimeout=3'))
      expect(facts).toMatchObject({ cause: 'timeout', status: 7, remedy: 'ping -c 3 127.0.0.1' })
    } finally {
      await full.stop('SIGKILL')
    }
  })

  test('timeout: a server that takes the connection, and never says a word', async () => {
    const facts = await look(at({ port: await serve(() => {}) }, '-o', 'ConnectTimeout=3'))
    expect(facts).toMatchObject({ cause: 'timeout', status: 7 })
    expect(facts.steps.map(({ step, ok }) => [step, ok])).toEqual([
      ['connection', true],
      ['greeting', false],
    ])
  })

  test('hung-up: one that closes at once', async () => {
    expect(await look(at({ port: await serve(socket => socket.end()) }))).toMatchObject({ cause: 'hung-up', status: 7 })
  })

  test.each<[string, (socket: Socket) => void, string]>([
    ['greets in SMTP', socket => void socket.write('220 mail.example ESMTP\r\n'), '220 mail.example ESMTP'],
    [
      'answers in HTTP',
      socket => void socket.once('data', () => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')),
      'HTTP/1.1 400',
    ],
    ['sends what acts on a terminal', socket => void socket.end('\u001b]0;x\u0007\n'), '\\u{1b}]0;x\\u{7}'],
  ])('not-ssh: one that %s', async (_name, serving, said) => {
    const facts = await look(at({ port: await serve(serving) }, '-o', 'ConnectTimeout=3'))
    expect(facts).toMatchObject({ cause: 'not-ssh', status: 6 })
    expect(facts.evidence.join('\n')).toContain(said)
  })

  test('server-busy: MaxStartups', async () => {
    const waiting = connect(busy.port, '127.0.0.1')
    await once(waiting, 'data')
    try {
      const facts = await look(at(busy))
      expect(facts).toMatchObject({ cause: 'server-busy', status: 7 })
      expect(facts.remedy).toBe(`keytool doctor -p ${busy.port} ${user.name}@127.0.0.1`)
    } finally {
      waiting.destroy()
    }
  })

  test('proxy-command: a program that leads nowhere', async () => {
    expect(await look(at(sshd, '-o', 'ProxyCommand=false'))).toMatchObject({ cause: 'proxy-command', status: 7 })
  })
})

const fullQueue = `
import socket, time
listener = socket.socket()
listener.bind(('127.0.0.1', 0))
listener.listen(0)
waiting = []
while len(waiting) < 8:
  each = socket.socket()
  each.setblocking(False)
  each.connect_ex(listener.getsockname())
  waiting.append(each)
time.sleep(0.2)
print(listener.getsockname()[1], 'full', flush=True)
time.sleep(60)
`

describe('the host', () => {
  test('no-common-algorithm: with the words that let it in', async () => {
    const facts = await look(at(old))
    expect(facts).toMatchObject({ cause: 'no-common-algorithm', status: 6 })
    const [command = '', ...words] = (facts.remedy ?? '').split(' ')
    expect(command).toBe('keytool')
    expect(words).toEqual(['connect', '-o', 'KexAlgorithms=+diffie-hellman-group14-sha1', ...at(old)])
    // Its remedy is one.
    expect(await look(at(old, '-o', 'KexAlgorithms=+diffie-hellman-group14-sha1'))).toMatchObject({
      ok: true,
      status: 0,
    })
  })

  test('host-key-unknown: nobody is asked, nothing is noted', async () => {
    const facts = await look(at(sshd), '')
    expect(facts).toMatchObject({ cause: 'host-key-unknown', status: 8 })
    const { ed25519 } = sshd.fingerprints
    expect(facts.remedy).toBe(`keytool connect --host-key ${ed25519} -p ${sshd.port} ${user.name}@127.0.0.1`)
    expect(await look(['--host-key', ed25519, ...at(sshd)], '')).toMatchObject({ ok: true, status: 0 })
  })

  test('host-key-changed, and host-key-changed for a revoked one', async () => {
    const other = line.split(' ').slice(0, 2).join(' ')
    const changed = await look(at(sshd), `[127.0.0.1]:${sshd.port} ${other}\n`)
    expect(changed).toMatchObject({ cause: 'host-key-changed', status: 8 })
    expect(changed.remedy).toBe(`keytool known-hosts remove '[127.0.0.1]:${sshd.port}'`)
    expect(changed.evidence.join('\n')).toContain('~/.ssh/known_hosts line 1')
    const revoked = await look(at(sshd), sshd.knownHosts.replaceAll(/^/gm, '@revoked ').replace(/@revoked $/, ''))
    expect(revoked).toMatchObject({ cause: 'host-key-changed', status: 8 })
    expect(revoked.evidence.join('\n')).toContain('revoked')
    // Nobody is told to take that line away.
    expect(revoked).toMatchObject({ message: expect.stringContaining('is revoked'), remedy: 'ssh-keygen -A' })
  })

  test('known-hosts: a file that can’t be read', async () => {
    expect(await look(at(sshd), `\ufeff${'\0'}`)).toMatchObject({ cause: 'known-hosts', status: 6 })
  })
})

describe('hosts on the way', () => {
  const through = (...more: string[]) => [...more, '-J', `${user.name}@127.0.0.1:${sshd.port}`]

  test('one that refuses the key is named', async () => {
    const facts = await look(at(sshd, '-J', `nobody@127.0.0.1:${sshd.port}`))
    expect(facts).toMatchObject({ cause: 'key-refused', status: 5, at: '127.0.0.1' })
    expect(facts.remedy).toContain(`-p ${sshd.port} nobody@127.0.0.1`)
  })

  test('one that carries nobody on is the cause, and not the host behind it', async () => {
    const facts = await look(at(sshd, '-J', `${user.name}@127.0.0.1:${closed.port}`))
    expect(facts).toMatchObject({ cause: 'forward-denied', status: 4, at: '127.0.0.1' })
    expect(facts.evidence.join('\n')).toContain(`${user.name}@127.0.0.1:${closed.port}`)
  })

  test('the host behind one is refused, or has no address there', async () => {
    expect(await look(at({ port: await findFreePort() }, ...through()))).toMatchObject({ cause: 'refused', status: 7 })
    const facts = await look([...through(), 'x@nowhere.invalid'])
    expect(facts).toMatchObject({ cause: 'dns', status: 7 })
    expect(facts.steps.map(({ step, ok, at: where }) => [step, ok, where])).toContainEqual(['login', true, '127.0.0.1'])
  })

  test('all is well behind one', async () => {
    expect(await look(at(sshd, ...through()))).toMatchObject({ ok: true, status: 0 })
  })
})

describe('forwards', () => {
  test.each([
    ['-L', '0:127.0.0.1:9'],
    ['-D', '0'],
    ['-R', '0:127.0.0.1:9'],
  ])('forward-denied: %s where AllowTcpForwarding is no', async (flag, spec) => {
    expect(await look(at(closed, flag, spec))).toMatchObject({ cause: 'forward-denied', status: 4 })
  })

  test('forward-denied: the key’s own permitopen', async () => {
    await putInOrder(user, `permitopen="127.0.0.1:${sshd.port}" ${line}`)
    try {
      expect(await look(at(sshd, '-L', '0:127.0.0.1:9'))).toMatchObject({ cause: 'forward-denied', status: 4 })
    } finally {
      await putInOrder(user, line)
    }
  })

  test('forward-dead: nobody listens where it leads', async () => {
    const port = await findFreePort()
    const facts = await look(at(sshd, '-L', `0:127.0.0.1:${port}`))
    expect(facts).toMatchObject({ cause: 'forward-dead', status: 7 })
    expect(facts.evidence.join('\n')).toContain(`127.0.0.1:${port}`)
  })

  test('port-in-use: a port that is taken here, and who has it', async () => {
    const port = await serve(() => {})
    const facts = await look(at(sshd, '-L', `${port}:127.0.0.1:${sshd.port}`))
    expect(facts).toMatchObject({ cause: 'port-in-use', status: 1, remedy: `ps -p ${process.pid}` })
  })
})

// Not there on a machine without the newest peers: which is said, and the words are in packages/tunnel/test/doctor-symptoms.
for (const suite of newestServers()) {
  test(`locked-out: PerSourcePenalties of OpenSSH in ${suite.name}`, async () => {
    const newest = await suite.startSshd([], ['PerSourcePenalties authfail:60s min:1s'])
    try {
      const there = ['-p', String(newest.port), 'root@127.0.0.1']
      expect(await look(there, newest.knownHosts)).toMatchObject({ cause: 'key-refused', status: 5 })
      // Once it has noticed that whoever was refused has gone.
      const again = await eventually(
        () => look(there, newest.knownHosts),
        ({ cause }) => cause !== 'key-refused',
      )
      expect(again).toMatchObject({ cause: 'locked-out', status: 7 })
    } finally {
      await newest.stop()
    }
  })
}

test('a command line that can’t be read is no cause: 2', async () => {
  const home = await homeWith({})
  for (const args of [
    ['-p', '0', 'x'],
    ['-L', 'nonsense', 'x'],
    ['a', 'b'],
    ['--password-file', '-', '--passphrase-file', '-', 'x'],
  ]) {
    expect(await residentKeytool(['doctor', ...args], { env: home.env })).toMatchObject({ status: 2, stdout: '' })
  }
  await home.dispose()
})
