import { chown, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Folder } from './folder.js'
import type { MailAccount } from './mail.js'
import { peerPath } from './peers.js'
import { findFreePort, waitForPort } from './port.js'
import { type Running, start } from './start.js'
import { findIds } from './system-user.js'

/** Starts Dovecot in the foreground: POP3 only, in the clear, one account, its Maildir. Needs root. */
export async function startDovecot(account: MailAccount, folder: Folder): Promise<{ port: number; server: Running }> {
  const [base, state, users, config] = ['dovecot', 'state', 'users', 'dovecot.conf'].map(name =>
    join(folder.path, name),
  ) as [string, string, string, string]
  await mkdir(base, { mode: 0o755 })
  await mkdir(state, { mode: 0o755 })
  // Dovecot's passwd-file: name, password, uid, gid, (gecos), home.
  const { name, password, uid, gid } = account
  await writeFile(users, `${name}:{PLAIN}${password}:${uid}:${gid}::${folder.path}::\n`, { mode: 0o600 })
  const authUser = await findIds('dovecot')
  await chown(users, authUser.uid, authUser.gid)
  const port = await findFreePort()
  await writeFile(config, writeConfig({ base, state, users, port, maildir: account.maildir }))
  const server = await start(peerPath('dovecot'), ['-F', '-c', config])
  try {
    await waitForPort(port)
    return { port, server }
  } catch (error) {
    await server.stop()
    throw new Error(`Dovecot did not start\n${server.stderr.text}`, { cause: error })
  }
}

function writeConfig(at: { base: string; state: string; users: string; port: number; maildir: string }): string {
  return `
protocols = pop3
listen = 127.0.0.1
base_dir = ${at.base}
state_dir = ${at.state}
log_path = /dev/stderr
ssl = no
disable_plaintext_auth = no
auth_mechanisms = plain
first_valid_uid = 1
mail_location = maildir:${at.maildir}
service pop3-login {
  inet_listener pop3 {
    address = 127.0.0.1
    port = ${at.port}
  }
  inet_listener pop3s {
    port = 0
  }
}
passdb {
  driver = passwd-file
  args = ${at.users}
}
userdb {
  driver = passwd-file
  args = ${at.users}
}
`
}
