import type { HostSettings } from '../../packages/tunnel/src/config/ssh-config/settings.js'
import { parseForward } from '../../packages/tunnel/src/forwards/spec.js'

// What `ssh -G` says, and the same of our settings, in one form. A setting is a list of lines under its keyword.

export type Dump = Record<string, string[]>

/** What is compared; the rest of what ssh says is about things that are not done here. */
export const compared = [
  'hostname user port addressfamily bindaddress compression connectionattempts connecttimeout escapechar',
  'exitonforwardfailure gatewayports hashknownhosts identitiesonly kbdinteractiveauthentication passwordauthentication',
  'pubkeyauthentication numberofpasswordprompts preferredauthentications requesttty serveralivecountmax serveraliveinterval',
  'stricthostkeychecking tcpkeepalive updatehostkeys loglevel ciphers macs kexalgorithms hostkeyalgorithms tag hostkeyalias',
  'identityfile certificatefile identityagent forwardagent proxyjump proxycommand localforward remoteforward dynamicforward',
  'userknownhostsfile globalknownhostsfile remotecommand sendenv setenv',
].flatMap(line => line.split(' '))

/** Flags: ssh says `true` for some, `yes` for others. */
const flags: Readonly<Record<string, string>> = { true: 'yes', false: 'no', unbound: 'yes', 'host-bound': 'yes' }
const oneLine = ['userknownhostsfile', 'globalknownhostsfile']

/** @param home the home that ssh knows, without a slash at its end */
export function readDump(text: string, home: string): Dump {
  const dump: Dump = {}
  for (const line of text.trimEnd().split('\n')) {
    const [, keyword = '', value = ''] = /^(\S+) ?(.*)$/.exec(line) ?? []
    if (!compared.includes(keyword) || (oneLine.includes(keyword) && /^(none)?$/.test(value))) continue
    dump[keyword] ??= []
    dump[keyword].push(tidy(keyword, value, home))
  }
  if (dump['connecttimeout']?.[0] === 'none') delete dump['connecttimeout']
  if (dump['identityfile']) dump['identityfile'] = dump['identityfile'].filter(file => file !== 'none')
  // ssh shows a local forward to a socket once more, as a dynamic one.
  for (const line of dump['localforward'] ?? []) {
    const [listen = '', target = ''] = line.split(' ')
    const again = dump['dynamicforward']?.indexOf(listen) ?? -1
    if (target.startsWith('/') && again !== -1) dump['dynamicforward']?.splice(again, 1)
  }
  if (dump['dynamicforward']?.length === 0) delete dump['dynamicforward']
  return { ...dump, sendenv: [...new Set(dump['sendenv'])].sort() }
}

function tidy(keyword: string, value: string, home: string): string {
  if (keyword.endsWith('forward')) return value.replace(/^\[\]/, '[*]')
  // ssh puts brackets around a jump that is an address of either kind.
  if (keyword === 'proxyjump') return value.replaceAll(/\[([\d.]+)\]/g, '$1')
  if (keyword === 'escapechar') return value.replace(/^\\\^/, '^')
  // It keeps the letters of an address, but not where it looks for the host's keys.
  if (keyword === 'hostname') return value.toLowerCase()
  if (keyword === 'loglevel') return value.replace('SILENT', 'QUIET')
  const path = value.replaceAll(/(?<=^| )~(?=\/)/g, home).replace(/^\/\//, '/')
  return flags[path] ?? path
}

/**
 * @param defaults what ssh says without any file
 * @param home the home that stands in the settings, in place of `theirs`
 */
export function renderSettings(settings: HostSettings, defaults: Dump, home: string, theirs: string): Dump {
  const { identityAgent, forwardAgent, userKnownHostsFiles: knownHosts, ...rest } = settings
  const usual = knownHosts === undefined || (knownHosts.length === 1 && knownHosts[0] === `${home}/.ssh/known_hosts`)
  const said: Record<string, readonly string[] | undefined> = {
    hostname: [settings.host],
    user: one(settings.user),
    identityfile: settings.identityFiles,
    certificatefile: settings.certificateFiles,
    identityagent: one(typeof identityAgent === 'object' ? identityAgent.path : identityAgent),
    forwardagent: one(typeof forwardAgent === 'object' ? forwardAgent.path : forwardAgent),
    preferredauthentications: one(settings.preferredAuthentications?.join(',')),
    escapechar: one(
      settings.escapeChar?.replace(/[^ -~]/, shown => `^${String.fromCharCode(shown.charCodeAt(0) | 64)}`),
    ),
    localforward: settings.localForwards.map(text => asSsh('local', text)),
    remoteforward: settings.remoteForwards.map(text => asSsh('remote', text)),
    dynamicforward: settings.dynamicForwards.map(text => asSsh('dynamic', text)),
    userknownhostsfile: joined(knownHosts),
    globalknownhostsfile: joined(settings.globalKnownHostsFiles),
    sendenv: [...settings.sendEnv].sort(),
    setenv: Object.entries(settings.setEnv).map(([name, value]) => `${name}=${value}`),
    updatehostkeys: one(settings.updateHostKeys ?? (usual ? 'yes' : 'no')),
    ...Object.fromEntries(
      (['ciphers', 'macs', 'kexAlgorithms', 'hostKeyAlgorithms'] as const).map(name => {
        const list = assemble(settings[name], defaults[name.toLowerCase()]?.[0] ?? '')
        return [name.toLowerCase(), [list]]
      }),
    ),
  }
  const plain = new Map(Object.entries(rest).map(([name, value]) => [name.toLowerCase(), value]))
  const dump: Dump = {}
  for (const keyword of compared) {
    const value = keyword in said ? said[keyword] : one(plain.get(keyword))
    const lines = value ?? defaults[keyword]
    const isSaid = lines && (lines.length > 0 || keyword === 'sendenv' || keyword === 'identityfile')
    if (isSaid) dump[keyword] = lines.map(line => line.replaceAll(home, theirs))
  }
  return dump
}

/** Files on one line; a blank in their names can't be told from one between them. */
function joined(files: readonly string[] | undefined): string[] | undefined {
  return files && (files.length > 0 ? [files.join(' ')] : [])
}

function one(value: unknown): string[] | undefined {
  if (value === undefined) return undefined
  return [typeof value === 'boolean' ? (value ? 'yes' : 'no') : String(value)]
}

/** Algorithms as ssh puts them together: `+` behind, `^` in front, `-` without. */
function assemble(text: string | undefined, defaults: string): string {
  const [names, change] = [(text ?? '').replace(/^[+^-]/, '').split(','), text?.[0]]
  const usual = defaults.split(',')
  if (text === undefined) return defaults
  if (change === '+') return [...usual, ...names.filter(name => !usual.includes(name))].join(',')
  if (change === '^') return [...names, ...usual.filter(name => !names.includes(name))].join(',')
  if (change === '-') return usual.filter(name => !names.includes(name)).join(',')
  return text
}

function asSsh(kind: 'local' | 'remote' | 'dynamic', text: string): string {
  const spec = parseForward(kind, text)
  const { listen } = spec
  const from =
    'path' in listen ? listen.path : listen.bind === undefined ? `${listen.port}` : `[${listen.bind}]:${listen.port}`
  if (kind === 'dynamic') return from
  const to = 'to' in spec && spec.to ? spec.to : { host: 'socks', port: 0 }
  return `${from} ${'path' in to ? to.path : `[${to.host}]:${to.port}`}`
}
