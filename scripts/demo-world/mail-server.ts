import { once } from 'node:events'
import type { Socket } from 'node:net'
import { listenOnLoopback } from './listen.js'
import { Mailbox } from './mailbox.js'
import { createPop3Server } from './pop3-server.js'
import { createSmtpReceiver } from './smtp-receiver.js'

export interface MailServer {
  readonly smtpPort: number
  readonly pop3Port: number
  /** Ends both listeners and their connections; the mail is gone. */
  stop(): Promise<void>
}

export interface MailServerOptions {
  /** Who gets mail: any address whose first part this is. Also the POP3 name. */
  readonly user: string
  readonly password: string
  /** The name the host goes by in headers and greetings. Default `localhost`. */
  readonly host?: string
}

/** Starts one person's mail server: SMTP and POP3 over one mailbox in memory, on free ports of 127.0.0.1, in the clear. */
export async function startMailServer({ user, password, host = 'localhost' }: MailServerOptions): Promise<MailServer> {
  const mailbox = new Mailbox()
  const smtp = createSmtpReceiver(host, user, mailbox)
  const pop3 = createPop3Server({ user, password, mailbox })
  const readers = new Set<Socket>()
  pop3.on('connection', socket => {
    readers.add(socket)
    socket.once('close', () => readers.delete(socket))
  })
  const smtpPort = await listenOnLoopback(smtp.server)
  const pop3Port = await listenOnLoopback(pop3)
  return {
    smtpPort,
    pop3Port,
    async stop() {
      for (const socket of readers) socket.destroy()
      pop3.close()
      await Promise.all([once(pop3, 'close'), new Promise<void>(resolve => smtp.close(resolve))])
    },
  }
}
