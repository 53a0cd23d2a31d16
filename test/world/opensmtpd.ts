import { chmod, chown, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Folder } from './folder.js'
import type { MailAccount } from './mail.js'
import { peerPath } from './peers.js'
import { findFreePort, waitForPort } from './port.js'
import { type Running, start } from './start.js'

/** A place where it takes mail in. With a certificate, wrapped in TLS from the start. */
export interface SmtpListener {
  readonly address: string
  readonly port: number
  readonly tls?: { readonly certificate: string; readonly key: string }
}

/**
 * Starts OpenSMTPD in the foreground: any mail for the account's name, at any host, goes into its Maildir; mail for
 * others is refused. Its spool and control socket have fixed places, so it gets a mount namespace in which these are
 * folders of its own, and no other OpenSMTPD of the machine is touched. Needs root.
 * @param listeners default: in the clear on a free port of 127.0.0.1
 */
export async function startOpenSmtpd(
  account: MailAccount,
  folder: Folder,
  listeners?: readonly [SmtpListener, ...SmtpListener[]],
): Promise<{ port: number; server: Running }> {
  const [spool, runtime, config] = ['spool', 'run', 'smtpd.conf'].map(name => join(folder.path, name)) as [
    string,
    string,
    string,
  ]
  await mkdir(spool, { mode: 0o755 })
  await mkdir(runtime, { mode: 0o755 })
  const places = listeners ?? ([{ address: '127.0.0.1', port: await findFreePort() }] as const)
  const [{ address, port }] = places
  const tls = places.find(place => place.tls)?.tls
  await writeFile(
    config,
    [
      `table people { "${account.name}" = "${account.uid}:${account.gid}:${folder.path}" }`,
      ...(tls ? [`pki mail cert "${tls.certificate}"`, `pki mail key "${tls.key}"`] : []),
      ...places.map(place => {
        const wrapped = place.tls ? ' smtps pki mail' : ''
        return `listen on ${place.address} port ${place.port}${wrapped} hostname mail.example`
      }),
      `action "in" maildir "${account.maildir}" userbase <people>`,
      'match from any for any action "in"',
      '',
    ].join('\n'),
  )
  await chmod(config, 0o600)
  const setUp = 'mount --bind "$1" /var/spool && mount --bind "$2" /run && exec "$3" -d -f "$4"'
  const args = ['--mount', '/bin/sh', '-c', setUp, 'sh', spool, runtime, peerPath('smtpd'), config]
  const server = await start('/usr/bin/unshare', args)
  try {
    await waitForPort(port, undefined, address)
    return { port, server }
  } catch (error) {
    await server.stop()
    throw new Error(`OpenSMTPD did not start\n${server.stderr.text}`, { cause: error })
  }
}

/** An empty Maildir that belongs to the account. */
export async function makeMaildir(account: MailAccount): Promise<void> {
  for (const path of [account.maildir, ...['new', 'cur', 'tmp'].map(name => join(account.maildir, name))]) {
    await mkdir(path, { mode: 0o700 })
    await chown(path, account.uid, account.gid)
  }
}
