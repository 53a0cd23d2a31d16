import { createHash, randomBytes } from 'node:crypto'
import { appendFile, readFile, writeFile } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { jest } from '@jest/globals'
import { listenOnLoopback } from '../scripts/demo-world/listen.js'
import { fetchMail, sendMail } from '../scripts/demo-world/mail-client.js'
import { type MailServer, startMailServer } from '../scripts/demo-world/mail-server.js'
import { type SshServer, startSshServer } from '../scripts/demo-world/ssh-server.js'
import { type Home, opensshOptions, temporaryHome } from './world/home.js'
import { peerPath } from './world/peers.js'
import { findFreePort, waitForPort } from './world/port.js'
import { run, runOrThrow } from './world/run.js'
import { start } from './world/start.js'
import { openTerminal } from './world/terminal.js'

// The demo's little hosting company, judged by OpenSSH's client.

jest.setTimeout(90_000)

const account = { user: 'hana', password: 'tea & plums 7' }

let home: Home
let mail: MailServer
let ssh: SshServer
let echo: ReturnType<typeof createServer>
let key: string

beforeAll(async () => {
  home = await temporaryHome()
  mail = await startMailServer({ ...account, host: 'mail.example' })
  // Answers only when the other side has ended: half-closing decides.
  echo = createServer({ allowHalfOpen: true }, async socket => {
    const hash = createHash('sha256')
    for await (const chunk of socket.iterator({ destroyOnReturn: false })) hash.update(chunk)
    socket.end(hash.digest('hex'))
  })
  const ports = { 25: mail.smtpPort, 110: mail.pop3Port, 7: await listenOnLoopback(echo), 9: await findFreePort() }
  ssh = await startSshServer({ ...account, home: home.path, ports })
  key = join(home.path, 'key')
  await runOrThrow(peerPath('ssh-keygen'), ['-q', '-t', 'ed25519', '-N', '', '-f', key])
  await writeFile(join(home.ssh, 'known_hosts'), `[127.0.0.1]:${ssh.port} ${ssh.hostKey}\n`)
  await writeFile(join(home.ssh, 'authorized_keys'), `# mine\n\n${await readFile(`${key}.pub`, 'utf8')}`)
})

afterAll(async () => {
  await ssh.stop()
  await mail.stop()
  echo.close()
  await home.dispose()
})

/** ssh's arguments up to the command. */
function sshArguments(identity: string = key): string[] {
  return [...opensshOptions(home), '-o', 'LogLevel=ERROR', '-i', identity, '-p', String(ssh.port), 'hana@127.0.0.1']
}

describe('its SSH server', () => {
  test('runs a command with its three streams and its status', async () => {
    const command = 'cat; echo oops >&2; pwd; env | cut -d= -f1 | sort | tr "\\n" " "; exit 3'
    const result = await run(peerPath('ssh'), [...sshArguments(), command], { input: 'hi\n' })
    expect(result).toMatchObject({ status: 3, stderr: 'oops\n' })
    expect(result.stdout).toMatch(
      new RegExp(`^hi\n${home.path}\n(_ )?HOME LOGNAME (OLDPWD )?PATH PWD SHELL (SHLVL )?USER (_ )?$`),
    )
  })

  test('carries much data through a command intact', async () => {
    const bytes = randomBytes(8 * 1024 * 1024).toString('hex')
    const command = 'tee copy | sha256sum; cat copy >&2'
    const { stdout, stderr } = await run(peerPath('ssh'), [...sshArguments(), command], { input: bytes })
    expect(stdout.slice(0, 64)).toBe(createHash('sha256').update(bytes).digest('hex'))
    expect(stderr.length).toBe(bytes.length)
  })

  test('tells which signal ended a command, and ends it when the client goes', async () => {
    expect((await run(peerPath('ssh'), [...sshArguments(), 'kill -KILL $$'])).status).toBe(255)
    const client = await start(peerPath('ssh'), [...sshArguments(), 'echo pid $$; sleep 60'])
    const pid = Number((await client.waitFor(/pid (\d+)\n/))[1])
    expect(() => process.kill(pid, 0)).not.toThrow()
    await client.stop('SIGKILL')
    for (let tries = 0; isThere(pid) && tries < 400; tries++) await new Promise(resolve => setTimeout(resolve, 50))
    expect(isThere(pid)).toBe(false)
  })

  test.each(['ed25519', 'rsa', 'ecdsa'])('takes a %s key from the moment it is authorized', async type => {
    const identity = join(home.path, `late-${type}`)
    await runOrThrow(peerPath('ssh-keygen'), ['-q', '-t', type, '-N', '', '-f', identity])
    const before = await run(peerPath('ssh'), [...sshArguments(identity), 'true'])
    expect(before).toMatchObject({ status: 255, stderr: expect.stringContaining('Permission denied') })
    await appendFile(join(home.ssh, 'authorized_keys'), await readFile(`${identity}.pub`))
    expect((await run(peerPath('ssh'), [...sshArguments(identity), 'true'])).status).toBe(0)
  })

  test('does not take a key whose line has options, nor another user', async () => {
    const identity = join(home.path, 'bound')
    await runOrThrow(peerPath('ssh-keygen'), ['-q', '-t', 'ed25519', '-N', '', '-f', identity])
    const line = await readFile(`${identity}.pub`, 'utf8')
    await appendFile(join(home.ssh, 'authorized_keys'), `command="false" ${line}`)
    expect((await run(peerPath('ssh'), [...sshArguments(identity), 'true'])).status).toBe(255)
    expect((await run(peerPath('ssh'), [...sshArguments(), '-l', 'root', 'true'])).status).toBe(0)
    const asRoot = sshArguments().map(argument => argument.replace('hana@', 'root@'))
    expect((await run(peerPath('ssh'), [...asRoot, 'true'])).status).toBe(255)
  })

  test('takes the password and no other', async () => {
    const password = ['-o', 'BatchMode=no', '-o', 'PubkeyAuthentication=no', '-o', 'NumberOfPasswordPrompts=2']
    const terminal = await openTerminal([peerPath('ssh'), ...password, ...sshArguments(), 'echo', 'welcome'])
    try {
      await terminal.waitFor(/password:/)
      await terminal.type('plums\r')
      await terminal.waitFor(/try again[\s\S]*password:/)
      await terminal.type(`${account.password}\r`)
      await terminal.waitFor(/welcome/)
      expect(await terminal.exitStatus()).toBe(0)
    } finally {
      await terminal.close()
    }
  })

  test('refuses a shell, sftp and reverse forwards', async () => {
    expect((await run(peerPath('ssh'), sshArguments())).status).toBe(255)
    expect((await run(peerPath('ssh'), [...sshArguments(), '-s', 'sftp'])).status).not.toBe(0)
    const reverse = ['-o', 'ExitOnForwardFailure=yes', '-R', '0:127.0.0.1:9']
    expect((await run(peerPath('ssh'), [...reverse, ...sshArguments(), 'true'])).status).toBe(255)
  })
})

describe('through its forwards', () => {
  let local: { smtp: number; pop3: number; echo: number; shut: number; foreign: number }
  let client: Awaited<ReturnType<typeof start>>

  beforeAll(async () => {
    const [smtp, pop3, hash, shut, foreign] = [0, 0, 0, 0, 0]
    local = { smtp, pop3, echo: hash, shut, foreign }
    for (const name of Object.keys(local) as (keyof typeof local)[]) local[name] = await findFreePort()
    const forwards = [
      `${local.smtp}:localhost:25`,
      `${local.pop3}:127.0.0.1:110`,
      `${local.echo}:localhost:7`,
      `${local.shut}:localhost:9`,
      `${local.foreign}:localhost:${mail.smtpPort}`,
    ].flatMap(forward => ['-L', `127.0.0.1:${forward}`])
    client = await start(peerPath('ssh'), ['-N', '-o', 'ExitOnForwardFailure=yes', ...forwards, ...sshArguments()])
    await waitForPort(local.foreign)
  })

  afterAll(async () => {
    await client.stop()
  })

  test('mail is sent by SMTP and fetched by POP3', async () => {
    const message = {
      from: 'ken@shop.example',
      to: 'hana@mail.example',
      subject: 'Tea',
      text: 'one\n.\n.two\n\n..three',
    }
    expect(await sendMail(local.smtp, message)).toMatch(/^250 /)
    const mails = await fetchMail(local.pop3, account.user, account.password)
    expect(mails).toHaveLength(1)
    expect(mails[0]).toMatch(
      /^Return-Path: <ken@shop\.example>\r\nReceived: from localhost \(\[127\.0\.0\.1\]\)\r\n\tby mail\.example with ESMTP id /,
    )
    expect(mails[0]).toMatch(/\r\nSubject: Tea\r\n/)
    expect(mails[0]).toMatch(/\r\n\r\none\r\n\.\r\n\.two\r\n\r\n\.\.three/)
    await expect(fetchMail(local.pop3, account.user, 'wrong')).rejects.toThrow('wrong name or password')
    await expect(sendMail(local.smtp, { ...message, to: 'else@mail.example' })).rejects.toThrow('550')
  })

  test('a half-closed connection still gets its answer, after all the data', async () => {
    const bytes = randomBytes(24 * 1024 * 1024)
    const socket = connect({ port: local.echo, host: '127.0.0.1', allowHalfOpen: true })
    socket.end(bytes)
    expect(await text(socket)).toBe(createHash('sha256').update(bytes).digest('hex'))
  })

  test.each(['shut', 'foreign'] as const)('nothing comes from a port that is %s', async name => {
    expect(await text(connect({ port: local[name], host: '127.0.0.1' })).catch(() => '')).toBe('')
    expect(client.stderr.text).toBe('')
  })
})

describe('its POP3 server', () => {
  /** Says all lines at once, as a pipelining client may, and gives all that comes back. */
  async function talk(...lines: string[]): Promise<string[]> {
    const socket = connect({ port: mail.pop3Port, host: '127.0.0.1', allowHalfOpen: true })
    socket.end(lines.map(line => `${line}\r\n`).join(''), 'utf8')
    return (await text(socket)).split('\r\n')
  }
  const login = [`USER ${account.user}`, `PASS ${account.password}`]

  beforeAll(async () => {
    for (const subject of ['first', 'second']) {
      await sendMail(mail.smtpPort, { from: 'a@b.example', to: 'hana@mail.example', subject, text: '.dot\nline' })
    }
  })

  test('knows its commands and when they may be given', async () => {
    expect(await talk('STAT', 'CAPA', 'CONSTRUCTOR', 'PASS x', 'USER hana', 'PASS ', 'QUIT', 'NOOP')).toEqual([
      '+OK ready',
      '-ERR not now: this is the authorization state',
      ...['+OK it can', 'USER', 'TOP', 'UIDL', 'PIPELINING', '.'],
      '-ERR unknown command',
      '-ERR USER comes first',
      '+OK now the password',
      '-ERR wrong name or password',
      '+OK bye',
      '',
    ])
  })

  test('lists, shows and deletes, and deletes for good only at QUIT', async () => {
    const before = await talk(
      ...login,
      'STAT',
      'LIST',
      'UIDL 1',
      'DELE 1',
      'RETR 1',
      'LIST 1',
      'RSET',
      'LIST 1',
      'DELE 1',
    )
    const count = Number(before[3]?.split(' ')[1])
    expect(count).toBeGreaterThanOrEqual(2)
    expect(before.filter(line => line === '-ERR no such mail')).toHaveLength(2)
    const after = await talk(...login, 'STAT', 'DELE 1', 'STAT', 'quit')
    expect(after[3]).toBe(before[3])
    expect(after[5]).toMatch(new RegExp(`^\\+OK ${count - 1} `))
    expect((await talk(...login, 'STAT', 'QUIT'))[3]).toBe(after[5])
  })

  test('stuffs dots and counts octets without them', async () => {
    const top = await talk(...login, 'TOP 1 1', 'QUIT')
    expect(top.slice(-5)).toEqual(['', '..dot', '.', '+OK bye', ''])
    const whole = await talk(...login, 'RETR 1', 'QUIT')
    const octets = Number(/(\d+) octets/.exec(whole[3] ?? '')?.[1])
    expect(whole.slice(4, -3).join('\r\n').length + 2 - 1).toBe(octets)
  })

  test('lets one reader in at a time, and three guesses', async () => {
    const first = connect({ port: mail.pop3Port, host: '127.0.0.1' })
    first.write(`${login.join('\r\n')}\r\n`)
    for await (const chunk of first.iterator({ destroyOnReturn: false })) if (String(chunk).includes('mails')) break
    expect((await talk(...login))[2]).toBe('-ERR the mailbox is open elsewhere')
    first.destroy()
    const guesses = await talk(...['a', 'b', 'c', 'd'].flatMap(guess => ['USER hana', `PASS ${guess}`]))
    expect(guesses.filter(line => line.startsWith('-ERR'))).toHaveLength(3)
  })

  test('ends a connection whose line has no end', async () => {
    expect(await talk('x'.repeat(2000), 'QUIT')).toEqual(['+OK ready', '-ERR the line is too long', ''])
  })
})

function isThere(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
