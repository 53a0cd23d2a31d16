import { isKeytoolError, KeytoolError, PublicKey, readPublicLines, showForeign, writePublicLine } from '@keytool/keygen'
import { refusalOf } from './answers.js'
import type { Forge, ForgeKind, Purpose } from './forge.js'
import { type Answer, type Request, send } from './http.js'

/** A key as a forge lists it. */
export interface ForgeKey {
  readonly id: number
  /** As it was given there, not escaped. */
  readonly title: string
  /** `undefined` for a type that nothing here reads. */
  readonly key: PublicKey | undefined
  readonly purposes: readonly Purpose[]
  /** ISO 8601, where the forge says so. */
  readonly createdAt?: string
  readonly expiresAt?: string
  readonly lastUsedAt?: string
}

/** What differs between them: one row a forge. */
interface Row {
  readonly headers: (token: string) => Record<string, string>
  /** Where keys of each purpose are. */
  readonly paths: { readonly [purpose in Purpose]?: string }
  /** What goes with a new key beside title and key. */
  readonly extra: (purpose: Purpose) => object
  readonly perPage: string
  readonly purposes: (listed: Record<string, unknown>, purpose: Purpose) => readonly Purpose[]
}

/** GitLab's usage_type. */
const usages: Readonly<Record<string, readonly Purpose[]>> = {
  auth: ['login'],
  signing: ['signing'],
  auth_and_signing: ['login', 'signing'],
}

const rows: Readonly<Record<ForgeKind, Row>> = {
  // GitHub REST API, version 2022-11-28: "Git SSH keys", "SSH signing keys".
  github: {
    headers: token => ({
      accept: 'application/vnd.github+json',
      authorization: `Bearer ${token}`,
      'x-github-api-version': '2022-11-28',
    }),
    paths: { login: '/user/keys', signing: '/user/ssh_signing_keys' },
    extra: () => ({}),
    perPage: 'per_page=100',
    purposes: (_listed, purpose) => [purpose],
  },
  // GitLab REST API v4: "User SSH and GPG keys".
  gitlab: {
    headers: token => ({ 'private-token': token }),
    paths: { login: '/user/keys', signing: '/user/keys' },
    extra: purpose => ({ usage_type: purpose === 'signing' ? 'signing' : 'auth' }),
    perPage: 'per_page=100',
    purposes: ({ usage_type: usage }) => usages[String(usage)] ?? ['login', 'signing'],
  },
  // Gitea and Forgejo, API v1: /user/keys. A key that was proved there signs, too: there is nothing to choose.
  gitea: {
    headers: token => ({ authorization: `token ${token}` }),
    paths: { login: '/user/keys' },
    extra: () => ({ read_only: false }),
    perPage: 'limit=50',
    purposes: () => ['login'],
  },
}

const MAX_PAGES = 50

/** The keys of one account, through its token. */
export interface ForgeApi {
  list(): Promise<readonly ForgeKey[]>
  /** @throws KeytoolError `exists` for a key that is in use there already, ours or another account's */
  add(key: PublicKey, title: string): Promise<void>
  remove(id: number): Promise<void>
}

/**
 * @param token visible ASCII
 * @throws KeytoolError `usage` where this forge has no such keys. Each method: `secret-wrong` for a token that is not
 *   accepted, `refused` for one that may not, `unreachable`, `unsupported` for what does not answer as the API does
 */
export function openForge(forge: Forge, purpose: Purpose, token: string, signal?: AbortSignal): ForgeApi {
  const { headers, paths, extra, perPage, purposes } = rows[forge.kind]
  const path = paths[purpose]
  if (path === undefined) {
    throw new KeytoolError('usage', `${forge.name} has no keys for signing alone`, {
      reason: 'with Gitea and Forgejo the same key serves both, once it is verified in the settings there',
      hint: 'leave out --signing',
    })
  }
  async function ask(method: Request['method'], more: string, wanted: number, body?: object): Promise<Answer> {
    const answer = await send({ method, url: `${forge.base}${path}${more}`, headers: headers(token), body, signal })
    if (answer.status !== wanted) throw refusalOf(answer, forge)
    return answer
  }
  return {
    async list() {
      const keys: ForgeKey[] = []
      for (let page = 1; page <= MAX_PAGES; page++) {
        const { json, headers: answered } = await ask('GET', `?page=${page}&${perPage}`, 200)
        if (!Array.isArray(json)) throw isNoApi(forge)
        for (const each of json) keys.push(readKey(each, forge, listed => purposes(listed, purpose)))
        // Whether there is another page is believed; where it is, is not asked.
        if (json.length === 0 || !/\brel="?next"?/.test(String(answered.link ?? ''))) return keys
      }
      throw new KeytoolError('unsupported', `${forge.name} lists keys without end`)
    },
    async add(key, title) {
      const line = writePublicLine(PublicKey.fromBlob(key.blob)).trim()
      const { json } = await ask('POST', '', 201, { title, key: line, ...extra(purpose) })
      if (blobOf((json as { key?: unknown } | undefined)?.key)?.equals(key.blob) !== true) throw isNoApi(forge)
    },
    async remove(id) {
      await ask('DELETE', `/${id}`, 204)
    },
  }
}

function readKey(
  value: unknown,
  forge: Forge,
  purposesOf: (listed: Record<string, unknown>) => readonly Purpose[],
): ForgeKey {
  if (typeof value !== 'object' || value === null) throw isNoApi(forge)
  const listed = value as Record<string, unknown>
  const { id, title, key } = listed
  if (typeof id !== 'number' || !Number.isSafeInteger(id) || id < 0 || typeof key !== 'string') throw isNoApi(forge)
  const at = (name: string) => (typeof listed[name] === 'string' ? (listed[name] as string) : undefined)
  const [createdAt, expiresAt, lastUsedAt] = [at('created_at'), at('expires_at'), at('last_used') ?? at('last_used_at')]
  return {
    id,
    title: typeof title === 'string' ? title : '',
    key: readOne(key),
    purposes: purposesOf(listed),
    ...(createdAt !== undefined && { createdAt }),
    ...(expiresAt !== undefined && { expiresAt }),
    ...(lastUsedAt !== undefined && { lastUsedAt }),
  }
}

function readOne(line: string): PublicKey | undefined {
  try {
    const [key, another] = readPublicLines(Buffer.from(line))
    return another ? undefined : key
  } catch (error) {
    if (isKeytoolError(error)) return undefined
    throw error
  }
}

function blobOf(line: unknown): Buffer | undefined {
  return typeof line === 'string' ? readOne(line)?.blob : undefined
}

function isNoApi({ name, base }: Forge): KeytoolError {
  return new KeytoolError('unsupported', `${name} does not answer as the API does`, {
    reason: `asked at ${showForeign(base)}`,
  })
}
