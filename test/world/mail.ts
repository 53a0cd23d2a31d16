import { chmod } from 'node:fs/promises'
import { join } from 'node:path'
import { type MailListener, startDovecot } from './dovecot.js'
import { temporaryFolder } from './folder.js'
import { makeMaildir, type SmtpListener, startOpenSmtpd } from './opensmtpd.js'
import { findIds } from './system-user.js'

/** What the two servers share about the one who gets mail. */
export interface MailAccount {
  readonly name: string
  readonly password: string
  readonly uid: number
  readonly gid: number
  readonly maildir: string
}

/** Where they listen, in place of free ports of 127.0.0.1: on addresses of the loopback that are the caller's alone. */
export interface MailListeners {
  readonly incoming: readonly [MailListener, ...MailListener[]]
  readonly outgoing: readonly [SmtpListener, ...SmtpListener[]]
}

export interface Mail {
  readonly smtpPort: number
  readonly pop3Port: number
  /** Takes any mail for this name, whatever stands after the `@`. */
  readonly user: string
  readonly password: string
  log(): string
  stop(): Promise<void>
}

/**
 * Starts a mail server of two real programs on 127.0.0.1: OpenSMTPD takes mail in, Dovecot gives it out, by POP3 unless it
 * is told otherwise. The account is theirs alone, not a user of the system. Needs root.
 */
export async function startMail(user: { name: string; password: string }, listeners?: MailListeners): Promise<Mail> {
  const folder = await temporaryFolder()
  await chmod(folder.path, 0o711)
  // Neither program delivers as root.
  const owner = await findIds('nobody')
  const account: MailAccount = {
    name: user.name,
    password: user.password,
    uid: owner.uid,
    gid: owner.gid,
    maildir: join(folder.path, 'Maildir'),
  }
  try {
    await makeMaildir(account)
    const smtp = await startOpenSmtpd(account, folder, listeners?.outgoing)
    const pop3 = await startDovecot(account, folder, listeners?.incoming).catch(async error => {
      await smtp.server.stop()
      throw error
    })
    return {
      smtpPort: smtp.port,
      pop3Port: pop3.port,
      user: account.name,
      password: account.password,
      log: () => `${smtp.server.stderr.text}\n${pop3.server.stderr.text}`,
      async stop() {
        await Promise.all([smtp.server.stop(), pop3.server.stop()])
        await folder.dispose()
      },
    }
  } catch (error) {
    await folder.dispose()
    throw error
  }
}
