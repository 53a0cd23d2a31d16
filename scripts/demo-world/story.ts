import { randomBytes } from 'node:crypto'
import { access, mkdir, readdir, rm, writeFile } from 'node:fs/promises'
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

  title('1. One command: key, agent, public key on the server, session, tunnel')
  const setup = ['setup', '--name', SESSION, '-p', String(ssh.port), `${USER}@127.0.0.1`]
  const secrets = ['--password-file', passwordFile.path, '--passphrase-file', passphraseFile.path]
  // What starts at this machine's logins, and what its keychain keeps, is no business of a demo's.
  const apart = ['--only-now', '--no-keychain']
  const more = ['--mail', '--charset', 'euc-jp', '--host-key', ssh.fingerprint]
  let isTakenBack = false
  stage.atEnd(async () => (isTakenBack ? undefined : endAll(stage)))
  await stage.keytool(...setup, ...more, ...apart, ...secrets)
  const [pop3, smtp] = await watchAll(stage)

  title('2. The same once more: by the key alone, and nothing is changed')
  await stage.keytool(...setup, ...apart)
  stage.env['SSH_AUTH_SOCK'] = join(home, 'run', 'keytool', 'agent.sock')
  if (await isInstalled('ssh-add')) {
    stage.show(['ssh-add', '-l'])
    await stage.run('ssh-add', ['-l'])
  }

  title('3. Send a mail and fetch it, through the tunnel')
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

  title('4. The same key for PuTTY, and what runs')
  await stage.keytool('convert', key, '--to', 'ppk', '-o', `${key}.ppk`, '--passphrase-file', passphraseFile.path)
  await rm(`${key}.ppk`)
  await stage.keytool('tunnel', 'status')

  title('5. Take all of it back')
  await stage.keytool('setup', '--undo', '--yes', SESSION)
  isTakenBack = true
  const left = await readdir(home)
  const ours = ['on-the-server', 'passphrase', 'password', 'run']
  if (left.sort().join() !== ours.join()) throw new Error(`left in the home: ${left.join(', ')}`)
  const lines = await readdir(account)
  if (lines.length > 0) throw new Error(`left on the server: ${lines.join(', ')}`)
}

/** What goes on in the background must not outlive us. Returns where the tunnel listens: for POP3, for SMTP. */
async function watchAll(stage: Stage): Promise<[number, number]> {
  const agent = JSON.parse(await stage.ask('agent', 'status', '--json'))
  const [tunnel] = JSON.parse(await stage.ask('tunnel', 'status', '--json'))
  for (const { pid } of [agent, tunnel]) stage.watch(Number(pid))
  const portOf = (to: string) => {
    const forward = tunnel.forwards.find((each: { to: string }) => each.to.endsWith(to))
    return Number(/\d+$/.exec(forward?.listen ?? '')?.[0])
  }
  return [portOf(':110'), portOf(':25')]
}

/** After a failure in the middle nothing has taken them back. */
async function endAll(stage: Stage): Promise<void> {
  await stage.ask('tunnel', 'stop', '--all').catch(() => {})
  await stage.ask('agent', 'stop').catch(() => {})
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
