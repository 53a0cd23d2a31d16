import { homedir } from 'node:os'
import { join } from 'node:path'
import { KeytoolError } from '@keytool/keygen'
import { type ForwardKind, type ForwardSpec, formatForward, parseForward } from '@keytool/tunnel'
import type { Context } from '../../context.js'
import type { ForwardFlags } from '../../forwards.js'
import { checkDistinct } from '../../forwards.js'
import { type LogInOptions, logInFlags } from '../../log-in-options.js'
import { type Usage, wholeNumber } from '../../options.js'
import { type Destination, nearSession, reachFlags } from '../../reach.js'

export const usage: Usage = {
  command: 'tunnel',
  takes: '<destination>',
  summary:
    'Hold forwards up, and connect again when the connection is lost, until Ctrl-C. DESTINATION is a saved session, a host of ssh_config, or [USER@]HOST. See also: tunnel status, tunnel stop, tunnel install.',
  examples: [
    'tunnel mail',
    'tunnel hana@example.com -p 229 -L 1110:localhost:110 -L 1025:localhost:25',
    'tunnel --background mail',
    'tunnel --mail hana@example.com',
    'tunnel status',
  ],
  options: [
    ['-L, --local <forward>', '[bind:]port:host:hostport, Unix sockets in place of either; may be given again', 'many'],
    ['-R, --remote <forward>', 'the same, listening on the server', 'many'],
    ['-D, --dynamic <forward>', '[bind:]port: a SOCKS proxy (4, 4a, 5; no UDP)', 'many'],
    ['--mail', "forward the server's mail ports, and print what to enter in the mail program"],
    ['--background', 'return once it is up; what is dead by then is said'],
    ['--wait', 'keep trying from the start: the server may not be there yet'],
    ['--refuse', 'while the connection is lost, refuse new connections instead of holding them for 30 s'],
    ['--max <number>', 'connections open at once through one forward (default: 4096)'],
    ['--probe <seconds>', 'how often targets are looked at (default: 60; 0: never)'],
    ['--log <file>', 'add a line for everything that happens (-: standard error)'],
    ['-A, --forward-agent', 'taken as ssh takes it; forwards alone need no agent there'],
    ...reachFlags,
    ...logInFlags,
  ],
}

export interface TunnelFlags extends LogInOptions, ForwardFlags {
  readonly mail?: boolean
  readonly background?: boolean
  readonly wait?: boolean
  readonly refuse?: boolean
  readonly max?: string
  readonly probe?: string
  readonly log?: string
}

/** The numbers among the flags. Throws `usage`. */
export function readNumbers({ max, probe }: TunnelFlags): { connections?: number; probeInterval?: number } {
  return {
    ...(max !== undefined && { connections: wholeNumber(max, '--max', 1, 65_535) }),
    ...(probe !== undefined && { probeInterval: wholeNumber(probe, '--probe', 0, 86_400) * 1000 }),
  }
}

const kinds: readonly ForwardKind[] = ['local', 'remote', 'dynamic']

/**
 * What is to be forwarded: what the session has, or ssh_config for this host, and what the flags say.
 * @throws KeytoolError `usage` for one that can't be read, or when there is none
 */
export async function readForwards(
  word: string,
  flags: TunnelFlags,
  { session, settings }: Destination,
  context: Context,
): Promise<ForwardSpec[]> {
  const said = kinds.flatMap(kind =>
    [...(session?.forwards[kind] ?? []), ...(flags[kind] ?? [])].map(text => parseForward(kind, atHome(text))),
  )
  const configured = {
    local: settings.localForwards,
    remote: settings.remoteForwards,
    dynamic: settings.dynamicForwards,
  }
  // A session that has forwards has all of them; ssh_config's are opened beside those of the command line, as ssh does.
  const usual = kinds.flatMap(kind => configured[kind].map(text => parseForward(kind, text)))
  const isSaid = (spec: ForwardSpec) =>
    said.some(each => each.kind === spec.kind && formatForward(each) === formatForward(spec))
  const forwards = session && said.length > 0 ? said : [...said, ...usual.filter(spec => !isSaid(spec))]
  checkDistinct(forwards)
  if (forwards.length > 0 || flags.mail) return forwards
  // A word that is neither a session nor has forwards beside it is mostly a session's name, mistyped.
  const near = session ? undefined : (await nearSession(word, context))?.hint
  throw new KeytoolError('usage', 'there is nothing to forward', {
    ...(!session && { reason: `there is no session ${word}` }),
    hint: near?.startsWith('did you mean') ? near : 'say it with -L, -R, -D or --mail, or save it in a session',
  })
}

/** A Unix socket of ours may stand in the home folder; no shell has put that in after a colon. */
function atHome(text: string): string {
  return text.replace(/(^|:)~\//g, (_, before: string) => `${before}${join(homedir(), '/')}`)
}
