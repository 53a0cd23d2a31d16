import { type ErrorCode, KeytoolError, showForeign } from '@keytool/keygen'
import type { Forge, ForgeKind } from './forge.js'
import type { Answer } from './http.js'

/** What a token needs, in the words of each forge's settings. */
const scopes: Readonly<Record<ForgeKind, string>> = {
  github:
    'give it read and write of "Git SSH keys" (and "SSH signing keys"), or the scope admin:public_key (admin:ssh_signing_key)',
  gitlab: 'give it the scope api',
  gitea: 'give it read and write of "user"',
}

interface Meaning {
  readonly code: ErrorCode
  readonly text: (forge: Forge) => string
  readonly hint?: (forge: Forge) => string
}

const wrongToken: Meaning = {
  code: 'secret-wrong',
  text: ({ name }) => `${name} does not accept the token`,
  hint: () => 'it may have expired: make a new one in the settings there',
}
const noScope: Meaning = {
  code: 'refused',
  text: ({ name }) => `the token may not do that on ${name}`,
  hint: ({ kind }) => scopes[kind],
}
const noApi: Meaning = {
  code: 'unsupported',
  text: ({ name }) => `there is no such API at ${name}`,
  hint: ({ kind }) => `look at the address: --${kind} https://HOST`,
}
const inUse: Meaning = {
  code: 'exists',
  text: ({ name }) => `this key is in use on ${name} already, and not by this account`,
  hint: () => 'a key can be that of one account only, and no deploy key besides: remove it there, or use another',
}
const notTaken: Meaning = { code: 'refused', text: ({ name }) => `${name} does not take this key` }
const tooMany: Meaning = {
  code: 'unreachable',
  text: ({ name }) => `${name} has had too many requests`,
  hint: () => 'try again in some minutes',
}
const broken: Meaning = {
  code: 'unreachable',
  text: ({ name }) => `${name} is not well`,
  hint: () => 'try again later',
}

/** What an answer means that is not the one that was hoped for. */
export function refusalOf(answer: Answer, forge: Forge): KeytoolError {
  const { code, text, hint } = meaningOf(answer)
  const to = answer.headers.location
  const isElsewhere = answer.status >= 300 && answer.status < 400 && to !== undefined
  const said = isElsewhere
    ? `it points to ${showForeign(to, 120)}, which is not followed: the token is for ${forge.name} alone`
    : wordsOf(answer.json)
  return new KeytoolError(code, text(forge), {
    reason: said === '' ? `it answered ${answer.status}` : isElsewhere ? said : `it says: ${said}`,
    ...(hint && { hint: hint(forge) }),
  })
}

function meaningOf({ status, headers, json }: Answer): Meaning {
  if (json === undefined && status !== 401 && status < 429) return noApi
  if (status === 401) return wrongToken
  if (status === 429 || (status === 403 && headers['x-ratelimit-remaining'] === '0')) return tooMany
  if (status === 403) return noScope
  // GitHub says so where a token has no scope for what is there.
  if (status === 404) return headers['x-oauth-scopes'] === undefined ? noApi : noScope
  if (status === 400 || status === 409 || status === 422) return isTaken(wordsOf(json)) ? inUse : notTaken
  return status >= 500 ? broken : noApi
}

/** GitHub, GitLab, Gitea and Forgejo, in this order. */
function isTaken(words: string): boolean {
  return /already in use|already been taken|been used as (non-)?deploy key|has been used/i.test(words)
}

/** What the server says in `message`, `errors`, `error_description`: as one line, escaped and cut. */
function wordsOf(json: unknown): string {
  const words: string[] = []
  const gather = (value: unknown, depth: number) => {
    if (words.length >= 10 || depth > 4) return
    if (typeof value === 'string') words.push(value)
    else if (Array.isArray(value)) for (const each of value) gather(each, depth + 1)
    else if (typeof value === 'object' && value !== null) {
      for (const [name, each] of Object.entries(value)) {
        if (typeof each !== 'string' || /^(message|error|error_description)$/.test(name)) gather(each, depth + 1)
      }
    }
  }
  gather(json, 0)
  return showForeign([...new Set(words)].join('; '), 200)
}
