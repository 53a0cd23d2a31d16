import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { jest } from '@jest/globals'
import { eventually, openTunnelWorld, type TunnelWorld } from './tunnel-cli-fixture.js'
import { type Mail, startMail } from './world/mail.js'
import { holdMailPorts } from './world/mail-ports.js'
import { peerPath } from './world/peers.js'
import { run, runOrThrow } from './world/run.js'

// `keytool tunnel --mail` with real servers behind it, and real mail programs before it.

// The ports may be another test's for a while.
jest.setTimeout(300_000)

/**
 * Hosts as a user knows them, each with mail at the ports where mail is. These addresses are this file's alone; so are the
 * ports of 127.0.0.1 that `--mail` chooses.
 */
const plain = '127.0.110.1'
const submission = '127.0.110.2'
const wrapped = '127.0.110.3'
const none = '127.0.110.4'
const hosts = [plain, submission, wrapped, none]

let world: TunnelWorld
let mail: Mail
let giveUpPorts: () => Promise<void>
const password = 'mailbox secret'

beforeAll(async () => {
  giveUpPorts = await holdMailPorts()
  world = await openTunnelWorld({ config: hosts.map(host => `ListenAddress ${host}`) })
  const known = hosts.map(host => world.sshd.knownHosts.replaceAll('127.0.0.1', host))
  await writeFile(join(world.home.ssh, 'known_hosts'), known.join(''))
  const tls = { certificate: join(world.home.path, 'cert.pem'), key: join(world.home.path, 'key.pem') }
  // OpenSMTPD knows no other kind of key.
  const request = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-subj', '/CN=mail.example', '-days', '2']
  await runOrThrow('openssl', [...request, '-keyout', tls.key, '-out', tls.certificate])
  mail = await startMail(
    { name: 'hana', password },
    {
      incoming: [
        { protocol: 'pop3', address: plain, port: 110 },
        { protocol: 'imap', address: submission, port: 143 },
        { protocol: 'imap', address: wrapped, port: 993, tls },
      ],
      outgoing: [
        { address: plain, port: 25 },
        { address: submission, port: 587 },
        { address: wrapped, port: 465, tls },
      ],
    },
  )
})

afterEach(() => world.clear())
afterAll(async () => {
  await mail?.stop()
  await world?.dispose()
  await giveUpPorts?.()
})

const at = (host: string) => ['-p', String(world.sshd.port), `${world.user.name}@${host}`]
const background = (host: string, ...more: string[]) => world.tunnel(['--mail', '--background', ...more, ...at(host)])

test('the story’s two: what is printed is what listens, and mail goes both ways whole, by programs that know nothing of us', async () => {
  const { status, stdout, stderr } = await background(plain)
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
  expect(stdout.split('\n').slice(0, 7)).toEqual([
    `127.0.0.1:1110 -> ${plain}:110`,
    `127.0.0.1:1025 -> ${plain}:25`,
    'in the mail program:',
    '  incoming  POP3  server 127.0.0.1  port 1110  no encryption: the tunnel does it',
    '  outgoing  SMTP  server 127.0.0.1  port 1025  no encryption: the tunnel does it',
    `  user ${world.user.name}, or whatever the mail server knows you by`,
    `protected as far as ${plain}; what lies behind it is not`,
  ])

  // EUC-JP and ISO-2022-JP as old mail programs wrote them, with a line that is a dot and one that begins with two.
  const eucJp = Buffer.from([0xc6, 0xfc, 0xcb, 0xdc, 0xb8, 0xec, 0xa4, 0xce, 0xa5, 0xe1, 0xa1, 0xbc, 0xa5, 0xeb])
  const iso2022 = Buffer.from('\x1b$BF|K\\8l$N%a!<%k\x1b(B')
  for (const [charset, text] of [
    ['EUC-JP', eucJp],
    ['ISO-2022-JP', iso2022],
  ] as const) {
    const head = `From: taro@example.jp\nTo: hana@example.jp\nSubject: ${charset}\nContent-Type: text/plain; charset=${charset}\n\n`
    const lines = Buffer.concat([text, Buffer.from('\n.\n..\n\n'), text])
    const file = join(world.home.path, charset)
    await writeFile(file, Buffer.concat([Buffer.from(head), lines]))
    const server = ['--server', '127.0.0.1', '--port', '1025', '--from', 'taro@example.jp', '--to', 'hana@example.jp']
    await runOrThrow(peerPath('swaks'), [...server, '--data', `@${file}`, '--hide-all'], { env: world.env })
  }

  const box = 'pop3://127.0.0.1:1110/'
  const curl = (path: string, ...more: string[]) =>
    run(peerPath('curl'), ['-sS', '-u', `hana:${password}`, ...more, `${box}${path}`], { env: world.env })
  await eventually(
    () => curl(''),
    list => list.stdout.trim().split('\n').length === 2,
  )
  for (const number of [1, 2]) {
    const file = join(world.home.path, `mail${number}`)
    expect(await curl(String(number), '-o', file)).toMatchObject({ status: 0, stderr: '' })
    const whole = (await readFile(file)).toString('latin1').replaceAll('\r\n', '\n')
    const [, charset = ''] = /^Subject: (\S+)$/m.exec(whole) ?? []
    const sent = (await readFile(join(world.home.path, charset))).toString('latin1')
    expect(whole.slice(whole.indexOf('\n\n'))).toBe(`${sent.slice(sent.indexOf('\n\n'))}\n`)
  }

  const inbox = join(world.home.path, 'inbox')
  const account = `poll 127.0.0.1 service 1110 protocol pop3 user hana password "${password}" sslproto ""`
  await writeFile(join(world.home.path, 'rc'), `${account} mda "cat >>${inbox}"\n`, { mode: 0o600 })
  const fetched = await run(peerPath('fetchmail'), ['-f', join(world.home.path, 'rc'), '--invisible'], {
    env: world.env,
  })
  expect(fetched).toMatchObject({ status: 0 })
  const letters = (await readFile(inbox)).toString('latin1')
  expect(letters).toContain(`\n${eucJp.toString('latin1')}\n.\n..\n\n${eucJp.toString('latin1')}\n`)
  expect(letters).toContain(`\n${iso2022.toString('latin1')}\n.\n..\n`)

  const [facts] = await eventually(
    world.status,
    ([first]) => first?.forwards.every(each => each['open'] === 0) === true,
  )
  expect(facts?.forwards).toMatchObject([{ state: 'up' }, { state: 'up' }])
})

test('only IMAP and submission: these, and the mail that was sent is there', async () => {
  const { status, stdout } = await background(submission)
  expect(status).toBe(0)
  expect(stdout).toMatch(/incoming {2}IMAP {2}server 127\.0\.0\.1 {2}port 1143 {2}no encryption/)
  expect(stdout).toMatch(/outgoing {2}SMTP {2}server 127\.0\.0\.1 {2}port 1587 {2}no encryption/)
  const url = 'imap://127.0.0.1:1143/INBOX'
  const { stdout: answer } = await runOrThrow(peerPath('curl'), ['-sS', '-u', `hana:${password}`, '-X', 'NOOP', url])
  expect(answer).toBe('')
})

test('only wrapped in TLS: these, and it says whose certificate it is', async () => {
  const { status, stdout } = await background(wrapped, '--json')
  expect(status).toBe(0)
  expect(JSON.parse(stdout)).toMatchObject({
    mail: [
      { direction: 'incoming', protocol: 'IMAP', server: '127.0.0.1', port: 1993, encryption: 'tls' },
      { direction: 'outgoing', protocol: 'SMTP', server: '127.0.0.1', port: 1465, encryption: 'tls' },
    ],
    protectedTo: wrapped,
  })
  const { stdout: answer } = await runOrThrow(peerPath('curl'), [
    '-sSk',
    'imaps://127.0.0.1:1993/',
    '-u',
    `hana:${password}`,
  ])
  expect(answer).toContain('INBOX')
})

test('a server without mail: 7, and what to do', async () => {
  const { status, stdout, stderr } = await background(none)
  expect({ status, stdout }).toEqual({ status: 7, stdout: '' })
  expect(stderr).toMatch(/has no mail: nothing answers there on ports 110, .*\n.*-L 1110:/)
  // What has told may take a moment to be gone.
  await eventually(world.processes, left => left.length === 0)
})

test('a port in use: 1, who holds it and a free one, which does it beside --mail', async () => {
  const other = createServer().listen(1110, '127.0.0.1')
  await once(other, 'listening')
  try {
    const { status, stderr } = await background(plain)
    expect(status).toBe(1)
    expect(stderr).toMatch(new RegExp(`127\\.0\\.0\\.1:1110 is in use\\n.*\\(pid ${process.pid}\\)`))
    const [, forward = ''] =
      new RegExp(`a free port: -L (\\d+:${plain.replaceAll('.', '\\.')}:110)$`, 'm').exec(stderr) ?? []
    const again = await background(plain, '-L', forward)
    expect(again).toMatchObject({ status: 0, stderr: '' })
    const port = forward.split(':')[0]
    expect(again.stdout).toMatch(new RegExp(`incoming +POP3 +server 127.0.0.1 +port ${port} `))
    expect((await world.status())[0]?.forwards).toHaveLength(2)
  } finally {
    other.close()
  }
})

test('in the foreground, on what was the connection that looked for the mail', async () => {
  const before = world.sshd.log().length
  const held = await world.hold(['--mail', ...at(plain)])
  await held.waitFor(/protected as far as/)
  expect(await held.stop()).toEqual({ status: 0, signal: null })
  expect(
    world.sshd
      .log()
      .slice(before)
      .match(/Accepted publickey/g),
  ).toHaveLength(1)
})
