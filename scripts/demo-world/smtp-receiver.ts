import { SMTPServer, type SMTPServerDataStream, type SMTPServerSession } from 'smtp-server'
import type { Mailbox } from './mailbox.js'

/** In bytes. */
const LARGEST_MAIL = 10 * 1024 * 1024

/**
 * An SMTP server (the npm package smtp-server) that takes mail for one person into a mailbox, and none for others.
 * It does not listen yet.
 * @param host the name it goes by
 */
export function createSmtpReceiver(host: string, user: string, mailbox: Mailbox): SMTPServer {
  return new SMTPServer({
    name: host,
    banner: 'demo mail',
    authOptional: true,
    disabledCommands: ['AUTH', 'STARTTLS'],
    disableReverseLookup: true,
    size: LARGEST_MAIL,
    maxClients: 50,
    closeTimeout: 300,
    logger: false,
    onRcptTo(address, _session, done) {
      const [name] = address.address.split('@')
      done(name?.toLowerCase() === user.toLowerCase() ? null : refusal(550, 'no such person here'))
    },
    onData(stream, session, done) {
      receive(stream).then(
        bytes => {
          const taken = bytes && mailbox.deliver(Buffer.concat([Buffer.from(traceLines(host, session)), bytes]))
          if (taken) done(null, 'it is in the mailbox')
          else done(bytes ? refusal(452, 'the mailbox is full') : refusal(552, 'the mail is too large'))
        },
        () => done(refusal(451, 'the mail did not arrive whole')),
      )
    },
  })
}

/** The whole mail; `undefined` for one that is too large. */
async function receive(stream: SMTPServerDataStream): Promise<Buffer | undefined> {
  const parts: Buffer[] = []
  for await (const part of stream) if (!stream.sizeExceeded) parts.push(part as Buffer)
  return stream.sizeExceeded ? undefined : Buffer.concat(parts)
}

/** RFC 5321 section 4.4: who gave it, who took it, when; and the sender of the envelope. */
function traceLines(host: string, session: SMTPServerSession): string {
  const { hostNameAppearsAs, remoteAddress, transmissionType, id, envelope } = session
  const sender = envelope.mailFrom ? envelope.mailFrom.address : ''
  const recipient = envelope.rcptTo.map(({ address }) => address).at(0) ?? ''
  const date = new Date().toUTCString().replace('GMT', '+0000')
  return [
    `Return-Path: <${printable(sender)}>`,
    `Received: from ${printable(String(hostNameAppearsAs))} ([${remoteAddress}])`,
    `\tby ${host} with ${transmissionType} id ${id}`,
    `\tfor <${printable(recipient)}>; ${date}`,
    '',
  ].join('\r\n')
}

/** What strangers said of themselves must not write headers of its own. */
function printable(text: string): string {
  return text.replace(/[^\x21-\x7e]/g, '?').slice(0, 255)
}

function refusal(responseCode: number, message: string): Error {
  return Object.assign(new Error(message), { responseCode })
}
