import { once } from 'node:events'
import { createServer, type Server, type Socket } from 'node:net'
import { type Account, Pop3Session, type Reply } from './pop3-session.js'

/** RFC 2449 section 4 gives a command 255 bytes; a line longer than this is no command. */
const LONGEST_LINE = 512
const IDLE_MS = 60_000
const MOST_CONNECTIONS = 50

/** A POP3 server for one account. It does not listen yet. */
export function createPop3Server(account: Account): Server {
  // Half-open: a client that has said all it wants still gets its answers.
  const server = createServer({ allowHalfOpen: true, noDelay: true }, socket => {
    serve(socket, new Pop3Session(account)).finally(() => socket.destroy())
  })
  server.maxConnections = MOST_CONNECTIONS
  return server
}

async function serve(socket: Socket, session: Pop3Session): Promise<void> {
  socket.setTimeout(IDLE_MS, () => socket.destroy())
  // An error ends the loop below; it needs no other answer.
  socket.on('error', () => {})
  try {
    await send(socket, { line: '+OK ready' })
    for await (const line of readLines(socket)) {
      const reply = line === undefined ? { line: '-ERR the line is too long', last: true } : session.answer(line)
      await send(socket, reply)
      if (reply.last) break
    }
    socket.end()
    await once(socket, 'close', { signal: AbortSignal.timeout(1000) })
  } catch {
    // The client went away.
  } finally {
    session.abandon()
  }
}

/** The lines that come in, without their ends; `undefined` for one that is too long, after which nothing is read. */
async function* readLines(socket: Socket): AsyncGenerator<string | undefined> {
  let rest = ''
  // Not destroyed when the loop is left: the last reply has to go out.
  for await (const chunk of socket.iterator({ destroyOnReturn: false })) {
    rest += (chunk as Buffer).toString('latin1')
    for (let end = rest.indexOf('\n'); end >= 0 && end <= LONGEST_LINE; end = rest.indexOf('\n')) {
      // Names and passwords may be UTF-8; latin1 kept their bytes apart until the line was whole.
      yield Buffer.from(rest.slice(0, end).replace(/\r$/, ''), 'latin1').toString('utf8')
      rest = rest.slice(end + 1)
    }
    if (rest.length > LONGEST_LINE) {
      yield undefined
      return
    }
  }
}

async function send(socket: Socket, reply: Reply): Promise<void> {
  // A client that never reads is not written to without end.
  if (!socket.write(encodeReply(reply))) await once(socket, 'drain')
}

/** RFC 1939 section 3: a line of the body that begins with a dot gets another one before it; a lone dot ends the body. */
export function encodeReply({ line, body }: Reply): Buffer {
  if (!body) return Buffer.from(`${line}\r\n`, 'utf8')
  const stuffed = body.toString('latin1').replace(/(^|\r\n)\./g, '$1..')
  return Buffer.concat([Buffer.from(`${line}\r\n`, 'utf8'), Buffer.from(`${stuffed}.\r\n`, 'latin1')])
}
