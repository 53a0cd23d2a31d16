import { posix } from 'node:path'
import type { Check, Command, Comment, LoginFacts, LoginFile, Variable, Words } from './service.js'
import { checkWords, configHome } from './words.js'

/** What units of systemd's have in common. */
export const comment: Comment = { open: '# ', close: '', after: 0 }

/** Whether the user's service manager is there. */
export const managerAnswers: Check = { command: systemctl('show', '--property=Version') }

export function systemctl(...args: string[]): Command {
  return ['systemctl', '--user', ...args]
}

/** systemd.unit(5): where the user's own units lie. */
export function unitFolder({ env, home }: LoginFacts): string {
  return posix.join(configHome(env, home), 'systemd', 'user')
}

/**
 * systemd.exec(5). Left out is all that gives the service a view of its own of the file system or of the users (Protect…,
 * Private…, RestrictNamespaces): for a user's service it takes a user namespace, in which the agent would not see which
 * programs ask it, and programs that ask for passphrases could not do what they do on a desktop. MemoryDenyWriteExecute
 * would stop node itself. Which calls are forbidden is said rather than which are allowed, since those programs are
 * anybody's.
 */
const HARDENING = `NoNewPrivileges=yes
LockPersonality=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
SystemCallArchitectures=native
SystemCallFilter=~@clock @cpu-emulation @debug @module @obsolete @raw-io @reboot @swap
SystemCallErrorNumber=EPERM
LimitCORE=0
UMask=0077
`

/** By which node would load, log or open things before the program can say no. */
const NODE_VARIABLES =
  'NODE_OPTIONS NODE_PATH NODE_DEBUG NODE_DEBUG_NATIVE NODE_V8_COVERAGE NODE_COMPILE_CACHE NODE_REDIRECT_WARNINGS ' +
  'NODE_EXTRA_CA_CERTS NODE_REPL_EXTERNAL_MODULE OPENSSL_CONF OPENSSL_MODULES OPENSSL_ENGINES'

export interface ServiceUnit {
  readonly path: string
  readonly by: string
  /** Lines of the section [Unit]. */
  readonly unit: readonly string[]
  readonly words: Words
  readonly variables: readonly Variable[]
  /** More lines of the section [Service]. */
  readonly service: readonly string[]
  /** Lines of the section [Install]. */
  readonly install?: readonly string[]
}

/** systemd.service(5). */
export function serviceFile({ path, by, unit, words, variables, service, install }: ServiceUnit): LoginFile {
  const essential = `ExecStart=${commandLine(words)}\n`
  const text = `[Unit]
${lines(unit)}
[Service]
Type=exec
${essential}${lines(variables.map(environmentLine))}UnsetEnvironment=${NODE_VARIABLES}
${lines(service)}${HARDENING}${install ? `\n[Install]\n${lines(install)}` : ''}`
  return { path, by, text, comment, essential }
}

function lines(all: readonly string[]): string {
  return all.map(line => `${line}\n`).join('')
}

function environmentLine([name, value]: Variable): string {
  checkWords([value])
  return `Environment="${name}=${escapeWord(value)}"`
}

/** What may not be in the path of the program, even quoted. */
const NEVER_IN_PROGRAM = /["'\\]/

/**
 * systemd.service(5), COMMAND LINES: every word in quotes, with C's escapes; % begins a specifier, $ a variable, except in
 * the program's own path, which has no variables.
 */
function commandLine([program, ...args]: Words): string {
  checkWords([program, ...args])
  if (NEVER_IN_PROGRAM.test(program)) return commandLine(['/bin/sh', '-c', 'exec "$0" "$@"', program, ...args])
  return [`"${escapeWord(program)}"`, ...args.map(word => `"${escapeWord(word).replaceAll('$', '$$$$')}"`)].join(' ')
}

function escapeWord(word: string): string {
  return word.replace(/["\\]/g, '\\$&').replaceAll('%', '%%')
}
