import { isIP, SocketAddress } from 'node:net'
import type { Environment } from '@keytool/agent/platform'
import type { Draft, FirstList, GrowingList, TextName } from './draft.js'
import { finishForward } from './forwards.js'
import { formatHop, isHarmlessHop } from './jump.js'
import { failAt, type Said } from './place.js'
import type { AgentPlace, HostQuery, HostSettings, IgnoredSetting } from './settings.js'
import { type Expansion, expand, expandTilde, type Naming, proxyTokens, type Tokens, tokensFor } from './tokens.js'
import { isHarmlessUser } from './valid.js'

/** What is put into a draft at the end. */
export interface Finishing {
  readonly query: HostQuery
  readonly env: Environment
  readonly naming: Naming
  readonly files: readonly string[]
}

/**
 * The settings, with tokens, variables and `~` put in where ssh does (ssh_config(5), TOKENS).
 * @throws KeytoolError with the line, for a token that means nothing there or a variable without a value
 */
export function finish(draft: Draft, finishing: Finishing): HostSettings {
  const { query, env, files } = finishing
  const user = finishUser(draft, finishing)
  const naming = { ...finishing.naming, user: user ?? query.localUser }
  const tokens = tokensFor(naming)
  const all = { tokens, env }
  const inPath = (said: Said) => at(said, text => expand(expandTilde(text, query.home), all))
  const list = (name: FirstList | GrowingList, each: (said: Said) => string) =>
    draft.lists[name]?.filter(({ text }) => text.toLowerCase() !== 'none').map(each)
  const forwards = (kind: string) =>
    draft.clearAllForwardings
      ? []
      : draft.forwards.filter(({ spec }) => spec.kind === kind).map(forward => finishForward(forward, tokens))
  const text = (name: TextName, expansion: Expansion) => {
    const said = draft.texts[name]
    return said && said.text.toLowerCase() !== 'none' ? at(said, text => expand(text, expansion)) : undefined
  }
  return withoutUndefined<HostSettings>({
    ...draft.plain,
    host: naming.host,
    user,
    hostKeyAlias: draft.texts.hostKeyAlias?.text.toLowerCase(),
    identityFiles: list('identityFiles', inPath),
    certificateFiles: list('certificateFiles', inPath),
    identityAgent: finishIdentityAgent(draft.texts.identityAgent, inPath, env),
    forwardAgent: finishForwardAgent(draft, inPath, env),
    proxyJump: finishJump(draft, proxyTokens(tokens)),
    proxyCommand: finishCommand(draft.texts.proxyCommand, proxyTokens(tokens)),
    localForwards: forwards('local'),
    remoteForwards: forwards('remote'),
    dynamicForwards: forwards('dynamic'),
    userKnownHostsFiles: list('userKnownHosts', inPath),
    globalKnownHostsFiles: list('globalKnownHosts', said => at(said, text => expandTilde(text, query.home))),
    revokedHostKeysFiles: list('revokedHostKeys', inPath),
    needed: listNeeded(draft),
    remoteCommand: text('remoteCommand', { tokens }),
    sendEnv: draft.sendEnv,
    setEnv: finishSetEnv(draft, all),
    ignored: draft.ignored,
    files,
  })
}

function listNeeded({ needed }: Draft): IgnoredSetting[] | undefined {
  const asked = [...needed].filter(([, { isAsked }]) => isAsked)
  return asked.length === 0 ? undefined : asked.map(([keyword, { place }]) => ({ keyword, ...place }))
}

/**
 * HostName, else the host as typed. Its only tokens are `%h` and `%%`.
 * @throws KeytoolError
 */
export function settleHost(hostName: Said | undefined, typedHost: string): string {
  const host = hostName ? at(hostName, text => expand(text, { tokens: { h: typedHost } })) : typedHost
  if (isIP(host) === 6) return new SocketAddress({ family: 'ipv6', address: host }).address
  // 127.1 is an address, too; known_hosts has it in full.
  const inFull = /^[\d.]+$/.test(host) && URL.canParse(`http://${host}`) ? new URL(`http://${host}`).hostname : host
  return isIP(inFull) === 4 ? inFull : host.toLowerCase()
}

/** Says where, when something in a value can't be. */
function at(said: Said, work: (text: string) => string): string {
  try {
    return work(said.text)
  } catch (cause) {
    if (cause instanceof SyntaxError) throw failAt(said.place, cause.message)
    throw cause
  }
}

/** The user of a file may have tokens, all but its own; that of the command line stands as it is. */
function finishUser({ texts }: Draft, { query, env, naming }: Finishing): string | undefined {
  const said = texts.user
  if (!said || query.user !== undefined) return said?.text
  const { C: _hash, r: _user, ...tokens } = tokensFor(naming)
  const user = at(said, text => expand(text, { tokens, env }))
  if (user !== said.text && !isHarmlessUser(user)) throw failAt(said.place, 'the user has characters it may not have')
  return user
}

function finishIdentityAgent(
  said: Said | undefined,
  inPath: (said: Said) => string,
  env: Environment,
): AgentPlace | undefined {
  if (!said) return undefined
  if (said.text === 'none') return 'none'
  return agentAt(said.text === 'SSH_AUTH_SOCK' ? '$SSH_AUTH_SOCK' : inPath(said), env) ?? 'none'
}

function finishForwardAgent(
  { forwardAgent, texts }: Draft,
  inPath: (said: Said) => string,
  env: Environment,
): HostSettings['forwardAgent'] {
  const said = texts.forwardAgentPath
  return forwardAgent && said ? (agentAt(inPath(said), env) ?? false) : forwardAgent
}

/** `$NAME` is the older way to name a variable; without a value there is no agent. */
function agentAt(text: string, env: Environment): { readonly path: string } | undefined {
  const path = text.startsWith('$') ? env[text.slice(1)] : text
  return path === undefined || path === '' ? undefined : { path }
}

function finishJump({ jump }: Draft, tokens: Tokens): string | undefined {
  if (!jump || jump === 'none') return undefined
  const { hops, said } = jump
  return hops
    .map(({ user, host, port }) => {
      const put = (text: string) => at({ text, place: said.place }, text => expand(text, { tokens }))
      const hop = {
        host: put(host),
        ...(user !== undefined && { user: put(user) }),
        ...(port !== undefined && { port }),
      }
      if (!isHarmlessHop(hop))
        throw failAt(said.place, 'a host or user has characters it may not have', undefined, 'refused')
      return formatHop(hop)
    })
    .join(',')
}

/** It stays as it is written: only its tokens are looked at. */
function finishCommand(said: Said | undefined, tokens: Tokens): string | undefined {
  if (!said || said.text.toLowerCase() === 'none') return undefined
  at(said, text => expand(text, { tokens }))
  return said.text
}

/** The first of two values for a name counts. */
function finishSetEnv({ setEnv = [] }: Draft, expansion: Expansion): Record<string, string> {
  const values = new Map<string, string>()
  for (const { text, place } of setEnv) {
    const equals = text.indexOf('=')
    const [name, value] = [text.slice(0, equals), { text: text.slice(equals + 1), place }]
    if (!values.has(name))
      values.set(
        name,
        at(value, text => expand(text, expansion)),
      )
  }
  return Object.fromEntries(values)
}

function withoutUndefined<T extends object>(values: { readonly [Name in keyof T]: T[Name] | undefined }): T {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as T
}
