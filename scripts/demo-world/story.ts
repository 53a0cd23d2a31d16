import { randomBytes } from 'node:crypto'
import { access, mkdir, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { delimiter, join } from 'node:path'
import { fetchMail, sendMail } from './mail-client.js'
import type { startMailServer } from './mail-server.js'
import type { startSshServer } from './ssh-server.js'
import { bold, type Stage } from './stage.js'

export interface Servers {
  readonly startMailServer: typeof startMailServer
  readonly startSshServer: typeof startSshServer
}

const USER = 'hana'
const SESSION = 'example-ssh2'

/** The story, step by step, as a customer of a hosting company would live it. */
export async function playStory(stage: Stage, servers: Servers): Promise<void> {
  await stage.prepare()
  const { home } = stage
  const passwordFile = await secretFile(home, 'password')
  const passphraseFile = await secretFile(home, 'passphrase')
  const key = join(home, '.ssh', 'id_ed25519')

  title('The hosting company, on this machine: an SSH server, and behind it ports 25 and 110')
  const mail = await servers.startMailServer({ user: USER, password: passwordFile.secret })
  stage.atEnd(() => mail.stop())
  const account = join(home, 'on-the-server')
  await mkdir(account, { mode: 0o700 })
  const ports = { 25: mail.smtpPort, 110: mail.pop3Port }
  const ssh = await servers.startSshServer({ user: USER, password: passwordFile.secret, home: account, ports })
  stage.atEnd(() => ssh.stop())
  console.log(`  127.0.0.1 port ${ssh.port}, host key ${ssh.fingerprint}`)

  title('1. Make a key')
  await stage.keytool('gen', '-t', 'ed25519', '-f', key, '-C', 'hana@laptop', '--passphrase-file', passphraseFile.path)
  await stage.keytool('convert', key, '--to', 'ppk', '-o', `${key}.ppk`, '--passphrase-file', passphraseFile.path)

  title('2. Serve it from the agent: the passphrase is given once')
  const lines = await stage.evaluate('agent')
  for (const [, name = '', value = ''] of lines.matchAll(/^(SSH_\w+)=([^;]*);/gm)) stage.env[name] = value
  stage.watch(Number(stage.env['SSH_AGENT_PID']))
  await stage.keytool('add', key, '--passphrase-file', passphraseFile.path)
  if (await isInstalled('ssh-add')) {
    stage.show(['ssh-add', '-l'])
    await stage.run('ssh-add', ['-l'])
  }

  title('3. Put the public key on the server, by password, once')
  const install = ['install-pubkey', '-i', key, '-p', String(ssh.port)]
  const trust = ['--host-key', ssh.fingerprint]
  await stage.keytool(...install, ...trust, '--password-file', passwordFile.path, `${USER}@127.0.0.1`)
  await stage.keytool(...install, `${USER}@127.0.0.1`)

  title('4. Save the session and hold its forwards up: the agent logs in')
  const [pop3, smtp] = await Promise.all([freePort(1110), freePort(1025)])
  const forwards = ['-L', `${pop3}:localhost:110`, '-L', `${smtp}:localhost:25`]
  const where = ['--host', '127.0.0.1', '--port', String(ssh.port), '--user', USER]
  await stage.keytool('session', 'save', SESSION, ...where, '--charset', 'euc-jp', '--key', key, ...forwards)
  const tunnel = await stage.startKeytool(/protected as far as/, 'tunnel', SESSION)

  title('5. Send a mail and fetch it, through the tunnel')
  const sent = await sendMail(smtp, {
    from: 'Hana <hana@example.com>',
    to: 'hana@example.com',
    subject: 'Through the tunnel',
    text: 'Nobody between this PC and the server could read this.\n',
  })
  console.log(`  port ${smtp} (SMTP): ${sent.trim()}`)
  const [received] = await fetchMail(pop3, USER, passwordFile.secret)
  if (!received?.includes('Subject: Through the tunnel')) throw new Error('the mail did not arrive')
  console.log(`  port ${pop3} (POP3):\n`)
  console.log(received.trimEnd().replace(/\r\n/g, '\n').replace(/^/gm, '  | '))

  title('6. Stop')
  const status = await tunnel.stop()
  console.log(`  the tunnel ended with ${status}`)
  if (status !== 0) throw new Error('the tunnel did not end well')
  await stage.keytool('agent', 'stop')
}

function title(text: string): void {
  console.log(`\n${bold(text)}`)
}

/** A secret made for this run, in a file that only its user reads: never an argument, never in the environment. */
async function secretFile(home: string, name: string): Promise<{ path: string; secret: string }> {
  const path = join(home, name)
  const secret = randomBytes(12).toString('base64url')
  await writeFile(path, `${secret}\n`, { mode: 0o600 })
  return { path, secret }
}

/** The port of the story if it is free here, else another. */
async function freePort(wanted: number): Promise<number> {
  return (await tryPort(wanted)) ?? (await tryPort(0)) ?? wanted
}

function tryPort(port: number): Promise<number | undefined> {
  return new Promise(resolve => {
    const server = createServer()
    server.once('error', () => resolve(undefined))
    server.listen(port, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => resolve(typeof address === 'object' ? address?.port : undefined))
    })
  })
}

async function isInstalled(program: string): Promise<boolean> {
  for (const folder of (process.env['PATH'] ?? '').split(delimiter)) {
    const found = await access(join(folder, program)).then(
      () => true,
      () => false,
    )
    if (found) return true
  }
  return false
}
