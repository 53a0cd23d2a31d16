import { join } from 'node:path'
import { jest } from '@jest/globals'
import { fetchMail, sendMail } from '../scripts/demo-world/mail-client.js'
import { type EmptyHome, type Hosting, openEmptyHome, openHosting } from './setup-fixture.js'
import { eventually } from './tunnel-cli-fixture.js'
import { type Mail, startMail } from './world/mail.js'
import { holdMailPorts } from './world/mail-ports.js'
import { keytoolPath } from './world/run.js'
import { openTerminal, type Terminal } from './world/terminal.js'

// `keytool setup` as a newcomer meets it: on a terminal, asked for what it can't know.

jest.setTimeout(400_000)

/** These addresses are this file's alone. At the second is no mail. */
const host = '127.0.122.1'
const bare = '127.0.122.2'
const mailbox = { name: 'hana', password: 'mailbox secret' }

let hosting: Hosting
let mail: Mail
let desk: EmptyHome

beforeAll(async () => {
  hosting = await openHosting([host, bare])
  mail = await startMail(mailbox, {
    incoming: [{ protocol: 'pop3', address: host, port: 110 }],
    outgoing: [{ address: host, port: 25 }],
  })
  desk = await openEmptyHome(true)
})
afterAll(async () => {
  await desk?.dispose()
  await mail?.stop()
  await hosting?.dispose()
})

function open(...args: string[]): Promise<Terminal> {
  // Who names no server is asked for its port, too.
  const port = args.length === 0 ? [] : ['-p', String(hosting.sshd.port)]
  const command = [process.execPath, keytoolPath, 'setup', ...port, ...args]
  return openTerminal(command, { env: { ...desk.env, SHELL: '/bin/sh' }, cwd: desk.home.path, cols: 150, rows: 50 })
}

/** What is asked, in its order, and what is typed. */
const dialogue = (address: string): readonly (readonly [RegExp, string])[] => [
  [/\? Server .*HOST:PORT/, `${address}:${hosting.sshd.port}\r`],
  [/\? User at/, `\x15${hosting.user.name}\r`],
  [/Is that right\? \(yes/, 'yes\r'],
  [/\? password for /, `${hosting.user.password}\r`],
  [/has mail: POP3 \(port 110\) and SMTP \(port 25\)\. Forward it/, '\r'],
  [/\? passphrase for ~\/\.ssh\/id_ed25519, which is made now/, '\r'],
]

test('Ctrl-C at any question: 130, and nothing was changed; a wrong password thrice: 5, and neither', async () => {
  const [home, account] = [await desk.tree(), await hosting.account()]
  const questions = dialogue(host)
  const stopAt = async (last: number) => {
    const terminal = await open()
    try {
      for (const [question, answer] of questions.slice(0, last)) {
        await terminal.waitFor(question, 30_000)
        await terminal.type(answer)
      }
      await terminal.waitFor(questions[last]?.[0] ?? /never/, 30_000)
      await terminal.type('\x03')
      return await terminal.exitStatus()
    } finally {
      await terminal.close()
    }
  }
  const guessThrice = async () => {
    const terminal = await open(`${hosting.user.name}@${host}`)
    try {
      await terminal.waitFor(/Is that right/, 30_000)
      await terminal.type('yes\r')
      for (const asked of [
        /password for \S+ *$/m,
        /2 tries left[\s\S]*password for \S+ *$/m,
        /one try left[\s\S]*password for \S+ *$/m,
      ]) {
        await terminal.waitFor(asked, 30_000)
        await terminal.type('wrong\r')
      }
      return await terminal.exitStatus()
    } finally {
      await terminal.close()
    }
  }
  expect(await Promise.all(questions.map((_, last) => stopAt(last)))).toEqual(questions.map(() => 130))
  expect(await guessThrice()).toBe(5)
  expect(await desk.tree()).toEqual(home)
  expect(await hosting.account()).toEqual(account)
})

test('one password and one Enter: mail goes both ways; taken back, it is as before', async () => {
  const giveUpPorts = await holdMailPorts()
  const [home, account] = [await desk.tree(), await hosting.account()]
  const terminal = await open()
  try {
    for (const [question, answer] of dialogue(host)) {
      await terminal.waitFor(question, 30_000)
      await terminal.type(answer)
    }
    expect(await terminal.exitStatus(60_000)).toBe(0)
    const screen = await terminal.screen()
    expect(screen).toMatch(/✓ key .*made with a passphrase made up, which the keychain keeps/)
    expect(screen).toMatch(/✓ tunnel .*2 forwards alive/)
    expect(screen).toMatch(/incoming {2}POP3 {2}server 127\.0\.0\.1 {2}port 1110 {2}no encryption: the tunnel does it/)
    expect(screen).toContain(`protected as far as ${host}; what lies behind it is not`)
    const written = await terminal.transcript()
    expect(written).not.toContain(hosting.user.password)
    await sendMail(1025, { from: 'a@example.com', to: 'hana@example.com', subject: 'Set up', text: 'a line\n' })
    await eventually(
      () => fetchMail(1110, mailbox.name, mailbox.password),
      letters => letters.some(letter => letter.includes('Subject: Set up')),
    )
  } finally {
    await terminal.close()
  }
  const undoing = await open('--undo')
  try {
    await undoing.waitFor(/Remove ~\/\.ssh\/id_ed25519, too\?/)
    await undoing.type('\r')
    expect(await undoing.exitStatus(30_000)).toBe(0)
  } finally {
    await undoing.close()
    await giveUpPorts()
  }
  expect(await desk.tree()).toEqual(home)
  expect(await hosting.account()).toEqual(account)
})

test('by way of another host: each is asked about and let in once, and their keys go again together', async () => {
  const [home, account] = [await desk.tree(), await hosting.account()]
  const { name, password } = hosting.user
  const hop = `${name}@${bare}:${hosting.sshd.port}`
  const terminal = await open('--no-passphrase', '-L', `0:${host}:110`, '-J', hop, `${name}@${host}`)
  try {
    for (const address of [bare, host]) {
      await terminal.waitFor(
        new RegExp(`host key of \\[${address}\\]:\\d+ is not known yet[\\s\\S]*Is that right\\?.*\\) *$`),
        30_000,
      )
      await terminal.type('yes\r')
      await terminal.waitFor(new RegExp(`password for ${name}@${address}`), 30_000)
      await terminal.type(`${password}\r`)
    }
    expect(await terminal.exitStatus(60_000)).toBe(0)
    expect(await terminal.screen()).toMatch(/✓ tunnel .*1 forward alive/)
  } finally {
    await terminal.close()
  }
  expect(await desk.setup(['--undo', '--yes'])).toMatchObject({ status: 0, stderr: '' })
  expect(await desk.tree()).toEqual(home)
  expect(await hosting.account()).toEqual(account)
})

test('without mail other forwards are asked for, until one can be read; a passphrase is typed once', async () => {
  const terminal = await open(`${hosting.user.name}@${bare}`)
  try {
    await terminal.waitFor(/Is that right/, 30_000)
    await terminal.type('yes\r')
    await terminal.waitFor(/password for/)
    await terminal.type(`${hosting.user.password}\r`)
    await terminal.waitFor(/\? Forward, as for ssh -L/)
    await terminal.type('8080\r')
    await terminal.waitFor(/-L 8080 can't be used/)
    await terminal.type('\r')
    await terminal.waitFor(/passphrase for/)
    await terminal.type('dusty plum orchard 7\r')
    expect(await terminal.exitStatus(60_000)).toBe(0)
    expect(await terminal.screen()).toMatch(/✓ tunnel +not needed: nothing is to be forwarded/)
    const stored = await desk.keyring?.read('index')
    const [, print = ''] = /(SHA256:[\w+/]+)/.exec(stored ?? '') ?? []
    expect(await desk.keyring?.read(print)).toBe('dusty plum orchard 7')
    expect(await terminal.transcript()).not.toContain('orchard')
  } finally {
    await terminal.close()
  }
  expect(await desk.setup(['--undo', '--yes'])).toMatchObject({ status: 0, stderr: '' })
  expect(await desk.tree()).toEqual([
    expect.any(String),
    expect.stringContaining(join(desk.home.path, '.local')),
    expect.any(String),
  ])
})
