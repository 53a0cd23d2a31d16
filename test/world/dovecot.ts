import { chown, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Folder } from './folder.js'
import type { MailAccount } from './mail.js'
import { peerPath } from './peers.js'
import { findFreePort, waitForPort } from './port.js'
import { type Running, start } from './start.js'
import { findIds } from './system-user.js'

/** A place where it gives mail out. With a certificate, wrapped in TLS from the start. */
export interface MailListener {
  readonly protocol: 'pop3' | 'imap'
  readonly address: string
  readonly port: number
  readonly tls?: { readonly certificate: string; readonly key: string }
}

/**
 * Starts Dovecot in the foreground: one account, its Maildir. Needs root.
 * @param listeners default: POP3 in the clear on a free port of 127.0.0.1
 */
export async function startDovecot(
  account: MailAccount,
  folder: Folder,
  listeners?: readonly [MailListener, ...MailListener[]],
): Promise<{ port: number; server: Running }> {
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
  const places = listeners ?? ([{ protocol: 'pop3', address: '127.0.0.1', port: await findFreePort() }] as const)
  const [{ address, port }] = places
  await writeFile(config, writeConfig({ base, state, users, maildir: account.maildir }, places))
  const server = await start(peerPath('dovecot'), ['-F', '-c', config])
  try {
    await waitForPort(port, undefined, address)
    return { port, server }
  } catch (error) {
    await server.stop()
    throw new Error(`Dovecot did not start\n${server.stderr.text}`, { cause: error })
  }
}

function writeConfig(
  at: { base: string; state: string; users: string; maildir: string },
  listeners: readonly MailListener[],
): string {
  const tls = listeners.find(listener => listener.tls)?.tls
  const services = (['pop3', 'imap'] as const).map(protocol => {
    const own = listeners.filter(listener => listener.protocol === protocol)
    // Those that it would open by itself are closed.
    const closed = [protocol, `${protocol}s`].map(name => `  inet_listener ${name} {\n    port = 0\n  }`)
    const open = own.map(({ address, port, tls: wraps }, i) =>
      [
        `  inet_listener own${i} {`,
        ...[`    address = ${address}`, `    port = ${port}`, `    ssl = ${wraps ? 'yes' : 'no'}`],
        '  }',
      ].join('\n'),
    )
    return own.length > 0 ? `service ${protocol}-login {\n${[...closed, ...open].join('\n')}\n}` : ''
  })
  return `
protocols = ${[...new Set(listeners.map(({ protocol }) => protocol))].join(' ')}
listen = 127.0.0.1
base_dir = ${at.base}
state_dir = ${at.state}
log_path = /dev/stderr
ssl = ${tls ? 'yes' : 'no'}
${tls ? `ssl_cert = <${tls.certificate}\nssl_key = <${tls.key}` : ''}
disable_plaintext_auth = no
auth_mechanisms = plain
first_valid_uid = 1
mail_location = maildir:${at.maildir}
${services.join('\n')}
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
