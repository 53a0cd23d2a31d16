import Pop3 from 'node-pop3'
import nodemailer from 'nodemailer'

export interface Message {
  readonly from: string
  readonly to: string
  readonly subject: string
  readonly text: string
}

const TIMEOUT_MS = 10_000

/** Sends a mail by SMTP to a port of 127.0.0.1, in the clear: the tunnel protects it. Resolves with the server's answer. */
export async function sendMail(port: number, message: Message): Promise<string> {
  const transport = nodemailer.createTransport({
    host: '127.0.0.1',
    port,
    secure: false,
    ignoreTLS: true,
    name: 'localhost',
    connectionTimeout: TIMEOUT_MS,
    greetingTimeout: TIMEOUT_MS,
    socketTimeout: TIMEOUT_MS,
  })
  try {
    const { response } = await transport.sendMail(message)
    return response
  } finally {
    transport.close()
  }
}

/** Fetches all mails by POP3 from a port of 127.0.0.1, whole and with their headers. They stay on the server. */
export async function fetchMail(port: number, user: string, password: string): Promise<string[]> {
  const pop3 = new Pop3({ host: '127.0.0.1', port, user, password, timeout: TIMEOUT_MS })
  let timer: NodeJS.Timeout | undefined
  // node-pop3's own limit does not end a mail that stops half way.
  const limit = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`the mails did not arrive within ${TIMEOUT_MS} ms`)), TIMEOUT_MS)
  })
  try {
    return await Promise.race([fetchAll(pop3), limit])
  } finally {
    clearTimeout(timer)
    await pop3.QUIT().catch(() => undefined)
  }
}

async function fetchAll(pop3: Pop3): Promise<string[]> {
  const mails: string[] = []
  for (const [number] of (await pop3.LIST()) as string[][]) mails.push(unstuff(await pop3.RETR(Number(number))))
  return mails
}

/** RFC 1939 section 3: a line's first dot was doubled on the way; node-pop3 leaves it so. */
function unstuff(text: string): string {
  return text.replace(/(^|\r\n)\.\./g, '$1.')
}
