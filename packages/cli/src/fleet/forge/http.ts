import type { ClientRequest, IncomingHttpHeaders, IncomingMessage } from 'node:http'
import { KeytoolError, showForeign } from '@keytool/keygen'

/** From the first byte sent to the last one read, in milliseconds. */
const TIME_LIMIT = 20_000
/** A page of keys is less, in bytes. */
const MAX_ANSWER = 2 * 1024 * 1024

export interface Request {
  readonly method: 'GET' | 'POST' | 'DELETE'
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly body?: unknown
  readonly signal?: AbortSignal | undefined
}

export interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  /** The body as JSON; `undefined` where it is empty or none. */
  readonly json: unknown
}

/**
 * One request to an API, and its answer. A redirect is an answer like others: nothing, and the token least of all, goes to
 * where it points. A certificate that does not prove the server ends it, whatever the environment says.
 * @throws KeytoolError `unreachable`; `unsupported` for an answer of too much; `cancelled` when the signal is aborted
 */
export async function send({ method, url, headers, body, signal }: Request): Promise<Answer> {
  const { host, protocol } = new URL(url)
  const { request } = protocol === 'https:' ? await import('node:https') : await import('node:http')
  const bytes = body === undefined ? undefined : Buffer.from(JSON.stringify(body))
  const options = {
    method,
    // A connection for this alone.
    agent: false,
    rejectUnauthorized: true,
    headers: {
      accept: 'application/json',
      'user-agent': 'keytool',
      ...headers,
      ...(bytes && { 'content-type': 'application/json', 'content-length': String(bytes.length) }),
    },
  } as const
  return new Promise((resolve, reject) => {
    const sent: ClientRequest = request(url, options, answer => {
      read(answer, host).then(done, fail)
    })
    const timer = setTimeout(() => sent.destroy(Object.assign(new Error(), { code: 'ETIMEDOUT' })), TIME_LIMIT)
    const leave = () => sent.destroy(new KeytoolError('cancelled', 'stopped', { reason: `${host} gave no answer yet` }))
    const end = () => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', leave)
      sent.destroy()
    }
    const done = (answer: Answer) => {
      end()
      resolve(answer)
    }
    const fail = (error: unknown) => {
      end()
      reject(error instanceof KeytoolError ? error : isUnreachable(host, error))
    }
    sent.on('error', fail)
    signal?.addEventListener('abort', leave, { once: true })
    if (signal?.aborted) leave()
    sent.end(bytes)
  })
}

async function read(answer: IncomingMessage, host: string): Promise<Answer> {
  const parts: Buffer[] = []
  let size = 0
  for await (const part of answer as AsyncIterable<Buffer>) {
    size += part.length
    if (size > MAX_ANSWER) throw new KeytoolError('unsupported', `${host} answers with too much to be its API`)
    parts.push(part)
  }
  if (!answer.complete) throw Object.assign(new Error(), { code: 'ECONNRESET' })
  return { status: answer.statusCode ?? 0, headers: answer.headers, json: parse(Buffer.concat(parts).toString('utf8')) }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

const reasons: Readonly<Record<string, string>> = {
  ENOTFOUND: 'its name is not known',
  EAI_AGAIN: 'its name could not be looked up now',
  ECONNREFUSED: 'nobody listens there',
  ECONNRESET: 'the connection was cut',
  EPIPE: 'the connection was cut',
  ETIMEDOUT: `no answer in ${TIME_LIMIT / 1000} s`,
  EHOSTUNREACH: 'there is no way there',
  ENETUNREACH: 'there is no way there',
  EPROTO: 'it does not speak TLS as it should',
}

function isUnreachable(host: string, cause: unknown): KeytoolError {
  const code = String((cause as { code?: unknown } | undefined)?.code ?? '')
  const text = showForeign(String((cause as { message?: unknown } | undefined)?.message ?? ''), 120)
  // node's words for certificates are good: "self-signed certificate", "certificate has expired".
  const isCertificate = /CERT|SIGNATURE|ISSUER|ALTNAME/.test(code)
  const reason = isCertificate ? `its certificate does not prove it: ${text}` : (reasons[code] ?? (text || code))
  return new KeytoolError('unreachable', `${host} can't be reached`, {
    reason,
    ...(isCertificate && { hint: "for an authority of one's own: NODE_EXTRA_CA_CERTS=FILE" }),
    cause,
  })
}
