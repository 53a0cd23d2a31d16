import { KeytoolError, showForeign } from '@keytool/keygen'

export type ForgeKind = 'github' | 'gitlab' | 'gitea'
/** What a key is for there: logging in, or signing commits. */
export type Purpose = 'login' | 'signing'

/** A site that keeps the public keys of accounts and is told of them by HTTP. */
export interface Forge {
  readonly kind: ForgeKind
  /** Where its API begins, without a slash at the end. */
  readonly base: string
  /** As it is shown: `github.com`, `git.example:3000`. */
  readonly name: string
}

interface Row {
  readonly title: string
  /** Of the site that everybody means; none: an address is needed. */
  readonly site?: { readonly base: string; readonly name: string }
  /** Where the API begins on a server of one's own. */
  readonly root: string
}

const rows: Readonly<Record<ForgeKind, Row>> = {
  github: { title: 'GitHub', site: { base: 'https://api.github.com', name: 'github.com' }, root: '/api/v3' },
  gitlab: { title: 'GitLab', site: { base: 'https://gitlab.com/api/v4', name: 'gitlab.com' }, root: '/api/v4' },
  gitea: { title: 'Gitea', root: '/api/v1' },
}

/** What the flags say of forges: an address, or `true` for the flag alone. */
export type ForgeFlags = { readonly [kind in ForgeKind]?: string | true }

/**
 * The forges that were asked for.
 * @throws KeytoolError `usage` for an address that can't be used
 */
export function readForges(flags: ForgeFlags): readonly Forge[] {
  return (Object.keys(rows) as ForgeKind[]).flatMap(kind => {
    const value = flags[kind]
    return value === undefined ? [] : [readForge(kind, value)]
  })
}

function readForge(kind: ForgeKind, value: string | true): Forge {
  const { site, root, title } = rows[kind]
  if (value === true) {
    if (site) return { kind, ...site }
    throw new KeytoolError('usage', `--${kind} needs the address of a server`, {
      hint: `--${kind} https://git.example`,
    })
  }
  const url = readAddress(kind, value)
  // What people call the site is not where its API is.
  if (site && [site.name, new URL(site.base).host].includes(url.host)) return { kind, ...site }
  const path = url.pathname.replace(/\/+$/, '')
  if (/\/api\/v\d+$/.test(path) && !path.endsWith(root)) {
    throw bad(kind, value, `the API of ${title} begins at ${root}`)
  }
  return { kind, base: `${url.origin}${path}${path.endsWith(root) ? '' : root}`, name: url.host }
}

function readAddress(kind: ForgeKind, value: string): URL {
  const url = /^https?:\/\//i.test(value) && URL.canParse(value) ? new URL(value) : undefined
  if (!url) throw bad(kind, value, 'an address begins with https://; hosts and files go before this flag')
  if (url.username !== '' || url.password !== '') throw bad(kind, undefined, 'no user or password stands in it')
  if (url.search !== '' || url.hash !== '') throw bad(kind, value, 'nothing stands behind its path')
  if (url.protocol === 'http:' && !isLoopback(url.hostname)) {
    throw bad(kind, value, 'without TLS everybody on the way would see the token: it begins with https://')
  }
  return url
}

function isLoopback(name: string): boolean {
  return name === 'localhost' || name === '[::1]' || /^127(\.\d{1,3}){3}$/.test(name)
}

/** @param value not shown where it may hold a secret */
function bad(kind: ForgeKind, value: string | undefined, reason: string): KeytoolError {
  const shown = value === undefined ? 'that address' : JSON.stringify(showForeign(value, 100))
  return new KeytoolError('usage', `--${kind} can't use ${shown}`, { reason })
}
