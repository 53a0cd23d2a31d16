import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import { isKeytoolError, readPublicLines } from '@keytool/keygen'

// Stand-ins for the part of GitHub, GitLab and Gitea that keeps an account's keys, made after their documented APIs. Strict:
// what the real ones refuse, or only take out of kindness, is refused.

export type Kind = 'github' | 'gitlab' | 'gitea'

export interface StoredKey {
  readonly id: number
  readonly title: string
  readonly key: string
  readonly usage: string
  readonly signing: boolean
}

export interface Account {
  readonly token: string
  /** `none`: the token is good, and may not do this. */
  readonly scope?: 'none' | 'read'
  readonly keys: StoredKey[]
}

/** Answers in the place of the forge, after it did its work or instead; `true` when it did. */
export type Trouble = (request: { method: string; path: string; number: number }, answer: ServerResponse) => boolean

export interface ForgeServer {
  readonly url: string
  readonly port: number
  readonly accounts: Account[]
  /** `GET /user/keys?page=1…`, in order. */
  readonly requests: string[]
  /** All tokens that were sent. */
  readonly tokens: string[]
  before: Trouble | undefined
  /** After the work was done, before the answer. */
  after: Trouble | undefined
  addKey(account: Account, key: string, title: string, more?: Partial<StoredKey>): void
  close(): Promise<void>
}

interface Reply {
  readonly status: number
  readonly body?: unknown
  readonly headers?: Record<string, string>
}

interface Call {
  readonly method: string
  readonly path: string
  readonly query: URLSearchParams
  readonly headers: IncomingMessage['headers']
  readonly body: unknown
}

interface Row {
  readonly root: string
  readonly token: (headers: IncomingMessage['headers']) => string | undefined
  readonly paths: Readonly<Record<string, { signing: boolean }>>
  /** What is wrong with how it is asked. */
  readonly check: (call: Call) => string | undefined
  readonly fields: readonly string[]
  readonly size: string
  readonly maxPage: number
  readonly unauthorized: Reply
  readonly forbidden: Reply
  readonly taken: Reply
  readonly invalid: (what: string) => Reply
  readonly show: (key: StoredKey) => object
  /** Whether one key may be both: for login and, apart from that, for signing. */
  readonly apart: boolean
}

const rows: Readonly<Record<Kind, Row>> = {
  github: {
    root: '',
    token: ({ authorization }) => /^Bearer (\S+)$/.exec(authorization ?? '')?.[1],
    paths: { '/user/keys': { signing: false }, '/user/ssh_signing_keys': { signing: true } },
    check({ headers }) {
      if (!headers['user-agent']) return 'Request forbidden by administrative rules'
      if (headers.accept !== 'application/vnd.github+json') return 'accept'
      return headers['x-github-api-version'] === '2022-11-28' ? undefined : 'version'
    },
    fields: ['title', 'key'],
    size: 'per_page',
    maxPage: 100,
    unauthorized: {
      status: 401,
      body: { message: 'Bad credentials', documentation_url: 'https://docs.github.com/rest' },
    },
    forbidden: {
      status: 404,
      body: { message: 'Not Found', documentation_url: 'https://docs.github.com/rest' },
      headers: { 'x-oauth-scopes': 'repo', 'x-accepted-oauth-scopes': 'admin:public_key' },
    },
    taken: invalidOnGithub('key is already in use'),
    invalid: invalidOnGithub,
    // The comment is not kept.
    show: ({ id, title, key }) => ({
      id,
      title,
      key: key.split(' ').slice(0, 2).join(' '),
      url: `https://api.github.com/user/keys/${id}`,
      created_at: '2026-01-02T03:04:05Z',
      verified: true,
      read_only: false,
    }),
    apart: true,
  },
  gitlab: {
    root: '/api/v4',
    token: headers => [headers['private-token']].flat()[0],
    paths: { '/user/keys': { signing: false } },
    check: () => undefined,
    fields: ['title', 'key', 'usage_type', 'expires_at'],
    size: 'per_page',
    maxPage: 100,
    unauthorized: { status: 401, body: { message: '401 Unauthorized' } },
    forbidden: {
      status: 403,
      body: {
        error: 'insufficient_scope',
        error_description: 'The request requires higher privileges than provided by the access token.',
        scope: 'api',
      },
    },
    taken: {
      status: 400,
      body: { message: { key: ['has already been taken'], fingerprint_sha256: ['has already been taken'] } },
    },
    invalid: what => ({ status: 400, body: { message: { key: [what] } } }),
    show: ({ id, title, key, usage }) => ({
      id,
      title,
      key: `${key.split(' ').slice(0, 2).join(' ')} Hana (gitlab.example)`,
      created_at: '2026-01-02T03:04:05.000Z',
      expires_at: null,
      usage_type: usage,
    }),
    apart: false,
  },
  gitea: {
    root: '/api/v1',
    token: ({ authorization }) => /^token (\S+)$/.exec(authorization ?? '')?.[1],
    paths: { '/user/keys': { signing: false } },
    check: () => undefined,
    fields: ['title', 'key', 'read_only'],
    size: 'limit',
    maxPage: 50,
    unauthorized: { status: 401, body: { message: 'invalid username, password or token', url: '/api/swagger' } },
    forbidden: {
      status: 403,
      body: { message: 'token does not have at least one of required scope(s): [write:user]', url: '/api/swagger' },
    },
    taken: { status: 422, body: { message: 'Key content has been used as non-deploy key', url: '/api/swagger' } },
    invalid: what => ({ status: 422, body: { message: `Invalid key content: ${what}`, url: '/api/swagger' } }),
    show: ({ id, title, key }) => ({
      id,
      title,
      key,
      url: `/api/v1/user/keys/${id}`,
      fingerprint: 'SHA256:x',
      created_at: '2026-01-02T03:04:05Z',
      read_only: false,
      key_type: 'user',
    }),
    apart: false,
  },
}

function invalidOnGithub(message: string): Reply {
  return {
    status: 422,
    body: { message: 'Validation Failed', errors: [{ resource: 'PublicKey', code: 'custom', field: 'key', message }] },
  }
}

/** @param tls a certificate and its key, for https */
export async function startForge(kind: Kind, tls?: { key: string; cert: string }): Promise<ForgeServer> {
  let nextId = 1
  const answer = (request: IncomingMessage, response: ServerResponse) => void respond(request, response)
  const server = (tls ? createSecureServer(tls, answer) : createServer(answer)).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  const forge: ForgeServer = {
    url: `${tls ? 'https' : 'http'}://127.0.0.1:${address.port}${rows[kind].root || '/api/v3'}`,
    port: address.port,
    accounts: [],
    requests: [],
    tokens: [],
    before: undefined,
    after: undefined,
    addKey(account, key, title, more = {}) {
      account.keys.push({ id: nextId++, title, key, usage: 'auth_and_signing', signing: false, ...more })
    },
    async close() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }

  async function respond(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const parts: Buffer[] = []
    for await (const part of request) parts.push(part as Buffer)
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://x')
    const method = request.method ?? ''
    forge.requests.push(`${method} ${request.url}`)
    const token = rows[kind].token(request.headers)
    if (token !== undefined) forge.tokens.push(token)
    const told = { method, path: pathname, number: forge.requests.length }
    if (forge.before?.(told, response)) return
    const body = parts.length === 0 ? undefined : JSON.parse(Buffer.concat(parts).toString())
    const reply = serve(kind, forge, { method, path: pathname, query: searchParams, headers: request.headers, body })
    if (forge.after?.(told, response)) return
    response.writeHead(reply.status, { 'content-type': 'application/json; charset=utf-8', ...reply.headers })
    response.end(reply.body === undefined ? undefined : JSON.stringify(reply.body))
  }
  return forge
}

function serve(kind: Kind, forge: ForgeServer, call: Call): Reply {
  const row = rows[kind]
  const { method, headers } = call
  const root = row.root || '/api/v3'
  const [, path, id] =
    /^(\/.*?)(?:\/(\d+))?$/.exec(call.path.startsWith(root) ? call.path.slice(root.length) : '/') ?? []
  const place = row.paths[path ?? '']
  if (!place) return { status: 404, body: { message: 'Not Found' } }
  const wrong = row.check(call)
  if (wrong !== undefined) return { status: 400, body: { message: `asked wrongly: ${wrong}` } }
  const account = forge.accounts.find(({ token }) => token === row.token(headers))
  if (!account) return row.unauthorized
  if (account.scope === 'none' || (account.scope === 'read' && method !== 'GET')) return row.forbidden
  const own = account.keys.filter(({ signing }) => signing === place.signing)
  if (method === 'GET') return list(row, call, own, `${new URL(forge.url).origin}${call.path}`)
  if (method === 'DELETE') {
    const at = account.keys.findIndex(key => key.id === Number(id))
    if (at < 0) return { status: 404, body: { message: 'Not Found' } }
    account.keys.splice(at, 1)
    return { status: 204 }
  }
  if (method !== 'POST' || id !== undefined) return { status: 405, body: { message: 'Method Not Allowed' } }
  return add(row, call, forge, account, place.signing)
}

function list(row: Row, { query }: Call, keys: readonly StoredKey[], url: string): Reply {
  const [page, size] = [Number(query.get('page') ?? 1), Number(query.get(row.size) ?? 30)]
  const strange = [...query.keys()].filter(name => name !== 'page' && name !== row.size)
  if (strange.length > 0 || !(page >= 1) || !(size >= 1) || size > row.maxPage) {
    return { status: 400, body: { message: `asked wrongly: ${query}` } }
  }
  const shown = keys.slice((page - 1) * size, page * size)
  const isLast = page * size >= keys.length
  const link = `<${url}?page=${page + 1}&${row.size}=${size}>; rel="next", <${url}?page=9>; rel="last"`
  return { status: 200, body: shown.map(row.show), ...(!isLast && { headers: { link } }) }
}

function add(row: Row, { body, headers }: Call, forge: ForgeServer, account: Account, signing: boolean): Reply {
  if (!/^application\/json\b/.test(headers['content-type'] ?? ''))
    return { status: 415, body: { message: 'Unsupported' } }
  const { title, key, usage_type: usage = 'auth_and_signing' } = body as Record<string, unknown>
  const strange = Object.keys(body as object).filter(name => !row.fields.includes(name))
  if (strange.length > 0) return row.invalid(`unknown fields ${strange}`)
  if (typeof title !== 'string' || title === '' || title.length > 255) return row.invalid("title can't be blank")
  if (typeof key !== 'string' || !isOneKey(key)) return row.invalid('key is invalid')
  if (!['auth', 'signing', 'auth_and_signing'].includes(String(usage))) return row.invalid('usage_type')
  const blob = key.split(' ')[1]
  const all = forge.accounts.flatMap(each => each.keys)
  if (all.some(each => each.key.split(' ')[1] === blob && (!row.apart || each.signing === signing))) return row.taken
  forge.addKey(account, key, title, { usage: String(usage), signing })
  const added = account.keys.at(-1)
  return { status: 201, body: added && row.show(added) }
}

/** Of the types that all three take. */
function isOneKey(line: string): boolean {
  if (!/^(ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp\d+|sk-\S+) \S+( .*)?$/.test(line)) return false
  try {
    return readPublicLines(Buffer.from(line)).length === 1
  } catch (error) {
    if (isKeytoolError(error)) return false
    throw error
  }
}
