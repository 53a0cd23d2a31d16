import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { jest } from '@jest/globals'
import { fetchMail, sendMail } from '../scripts/demo-world/mail-client.js'
import { type Environment, type Home, temporaryHome } from './world/home.js'
import { type Mail, startMail } from './world/mail.js'
import { findFreePort } from './world/port.js'
import { keytool } from './world/run.js'
import { type Sshd, startSshd } from './world/sshd.js'
import { startKeytool } from './world/start.js'
import { createUser, type SystemUser } from './world/system-user.js'

// What the product exists for, from end to end, against OpenSSH's server, OpenSMTPD and Dovecot.

jest.setTimeout(120_000)

let home: Home
let user: SystemUser
let sshd: Sshd
let mail: Mail

beforeAll(async () => {
  home = await temporaryHome()
  user = await createUser()
  sshd = await startSshd({ users: [user] })
  mail = await startMail({ name: 'hana', password: 'mailbox secret' })
})

afterAll(async () => {
  await mail.stop()
  await sshd.stop()
  await user.dispose()
  await home.dispose()
})

async function ours(args: string[], env: Environment = home.env): Promise<string> {
  const result = await keytool(args, { env })
  // Whichever connection is there when the server tells its other keys, says so.
  const stderr = result.stderr.replace(/^127\.0\.0\.1 has new host keys, noted: (SHA256:\S+(, )?)+\n/, '')
  expect({ args, ...result, stderr }).toMatchObject({ status: 0, stderr: '' })
  return result.stdout
}

test('a key is made, served, put on the server and carries mail, with one passphrase and one password', async () => {
  const key = join(home.ssh, 'id_ed25519')
  const passphrase = join(home.path, 'passphrase')
  const password = join(home.path, 'password')
  await writeFile(passphrase, 'öne passphrase\n', { mode: 0o600 })
  await writeFile(password, user.password, { mode: 0o600 })

  await ours(['gen', '-t', 'ed25519', '-C', 'hana@laptop', '--passphrase-file', passphrase])
  const lines = await ours(['agent', '-s'])
  const [, socket = ''] = /^SSH_AUTH_SOCK=([^;]+);/m.exec(lines) ?? []
  expect(socket).toBe(join(home.runtime, 'keytool', 'agent.sock'))
  const env = { ...home.env, SSH_AUTH_SOCK: socket }
  try {
    await ours(['add', '--passphrase-file', passphrase], env)

    const host = `${user.name}@127.0.0.1`
    const install = ['install-pubkey', '-p', String(sshd.port)]
    const trust = ['--host-key', sshd.fingerprints.ed25519, '--password-file', password]
    expect(await ours([...install, ...trust, host], env)).toMatch(/ok added to .* verified with this key alone/)
    expect(await ours([...install, host], env)).toMatch(/was there already, .* verified with this key alone/)
    expect(await readFile(user.authorizedKeysFile, 'utf8')).toBe(await readFile(`${key}.pub`, 'utf8'))

    const [pop3, smtp] = [await findFreePort(), await findFreePort()]
    const forwards = ['-L', `${pop3}:127.0.0.1:${mail.pop3Port}`, '-L', `${smtp}:127.0.0.1:${mail.smtpPort}`]
    const where = ['--host', '127.0.0.1', '--port', String(sshd.port), '--user', user.name, '--charset', 'euc-jp']
    await ours(['session', 'save', 'mail', ...where, '--key', key, ...forwards], env)

    // Neither a terminal nor a passphrase file: only the agent can have signed.
    const tunnel = await startKeytool(['tunnel', 'mail'], { env })
    await tunnel.waitFor(/protected as far as/)
    expect(tunnel.stdout.lines.slice(0, 2)).toEqual([
      `127.0.0.1:${pop3} -> 127.0.0.1:${mail.pop3Port}`,
      `127.0.0.1:${smtp} -> 127.0.0.1:${mail.smtpPort}`,
    ])
    const letter = { from: 'hana@example.com', to: 'hana@example.com', subject: 'Through', text: 'a line\n.\n..dots\n' }
    await sendMail(smtp, letter)
    const received = await untilSome(() => fetchMail(pop3, mail.user, mail.password))
    expect(received).toContain('Subject: Through')
    expect(received).toContain('Received: from')
    expect(received.replaceAll('\r\n', '\n')).toContain(letter.text.trimEnd())
    // What arrived came from sshd, so it went through the tunnel.
    expect(sshd.log()).toContain(`Accepted publickey for ${user.name}`)

    expect(await tunnel.stop('SIGTERM')).toEqual({ status: 0, signal: null })
    await expect(sendMail(smtp, letter)).rejects.toThrow(/ECONNREFUSED/)
  } finally {
    await keytool(['agent', 'stop'], { env })
  }
})

/** Delivery takes a moment. */
async function untilSome(fetch: () => Promise<string[]>): Promise<string> {
  for (let tries = 0; tries < 150; tries++) {
    const [first] = await fetch()
    if (first !== undefined) return first
    await new Promise(resolve => setTimeout(resolve, 200))
  }
  throw new Error(`no mail arrived\n${mail.log()}`)
}
