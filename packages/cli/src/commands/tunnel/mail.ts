import { isKeytoolError, KeytoolError } from '@keytool/keygen'
import { type Connection, type Forward, type ForwardSpec, type ProbeKind, probe, systemClock } from '@keytool/tunnel'
import type { Say } from '../../say.js'
import { columns } from '../../text.js'

const directions = ['incoming', 'outgoing'] as const

/** A way in which mail is fetched or sent. */
interface MailService {
  readonly direction: (typeof directions)[number]
  /** As mail programs call it. */
  readonly title: string
  readonly kind: ProbeKind
  readonly port: number
}

/** Best first in each direction: the story's two, then what else a server may have. Without TLS first: SSH protects the way. */
const services: readonly MailService[] = [
  { direction: 'incoming', title: 'POP3', kind: 'pop3', port: 110 },
  { direction: 'incoming', title: 'IMAP', kind: 'imap', port: 143 },
  { direction: 'incoming', title: 'POP3', kind: 'pop3s', port: 995 },
  { direction: 'incoming', title: 'IMAP', kind: 'imaps', port: 993 },
  { direction: 'outgoing', title: 'SMTP', kind: 'smtp', port: 25 },
  { direction: 'outgoing', title: 'SMTP', kind: 'smtp', port: 587 },
  { direction: 'outgoing', title: 'SMTP', kind: 'smtps', port: 465 },
]

/** What is added to a port that only root may listen at. */
const OFFSET = 1000

/** A service that answers, and where the server finds it. */
export interface FoundMail {
  readonly service: MailService
  readonly host: string
}

/** One row of what is to be entered in a mail program. */
export interface MailSetting {
  readonly direction: MailService['direction']
  readonly protocol: string
  readonly server: string
  readonly port: number
  readonly user: string
  /** `none`: the tunnel does it. With `tls` the certificate names the host behind the tunnel. */
  readonly encryption: 'none' | 'tls'
}

/**
 * Looks on the server for its mail: one way to fetch it, one to send it. It is looked for at the server itself, and where
 * that does not answer, under the server's own name.
 * @throws KeytoolError `unreachable` when it has neither; `refused` when it forwards nothing, so that nobody can tell
 */
export async function findMail(connection: Connection, host: string): Promise<FoundMail[]> {
  const hosts = ['localhost', host]
  const troubles: unknown[] = []
  const over = new AbortController()
  const looks = services.map(service => ({
    direction: service.direction,
    found: findService(service, connection, hosts, over.signal, error => troubles.push(error)),
  }))
  const best: FoundMail[] = []
  for (const wanted of directions) {
    for (const { found } of looks.filter(({ direction }) => direction === wanted)) {
      // What a firewall keeps silent about is not waited for, where something better answers.
      const mail = await found
      if (!mail) continue
      best.push(mail)
      break
    }
  }
  over.abort()
  if (best.length > 0) return best
  if (troubles.every(error => isKeytoolError(error) && error.code === 'refused')) {
    throw new KeytoolError('refused', `${host} does not let its mail be forwarded, if it has any`, {
      reason: "its AllowTcpForwarding or PermitOpen, or the key's options there, do not allow it",
      hint: 'whoever runs the server can allow it',
      cause: troubles[0],
    })
  }
  const ports = services.map(({ port }) => port).join(', ')
  throw new KeytoolError('unreachable', `${host} has no mail: nothing answers there on ports ${ports}`, {
    hint: 'name another host that the server can reach: -L 1110:mail.example:110',
  })
}

async function findService(
  service: MailService,
  connection: Connection,
  hosts: readonly string[],
  signal: AbortSignal,
  onTrouble: (error: unknown) => void,
): Promise<FoundMail | undefined> {
  for (const host of hosts) {
    if (signal.aborted) return undefined
    const { kind, port } = service
    const open = () => connection.openDirect(host, port, { host: '127.0.0.1', port: 0 })
    try {
      await probe({ kind, open, host, clock: systemClock, signal })
      return { service, host }
    } catch (error) {
      onTrouble(error)
    }
  }
  return undefined
}

/**
 * The forwards to what was found, on ports that anybody may listen at.
 * @param others forwards that there are besides: what one of them leads to already needs no second one
 */
export function forwardsTo(found: readonly FoundMail[], others: readonly ForwardSpec[]): ForwardSpec[] {
  return found
    .filter(mail => !others.some(spec => leadsTo(spec, mail)))
    .map(({ service: { port }, host }) => ({ kind: 'local', listen: { port: port + OFFSET }, to: { host, port } }))
}

function leadsTo(spec: ForwardSpec, { service: { port }, host }: FoundMail): boolean {
  if (spec.kind !== 'local' || 'path' in spec.listen || 'path' in spec.to) return false
  return spec.to.port === port && (spec.to.host === host || (host === 'localhost' && spec.to.host === '127.0.0.1'))
}

/** A forward, as far as a mail program has to know it. */
type CarriedForward = Pick<Forward, 'spec' | 'port'>

/** What to enter in the mail program. */
export function mailFacts(
  found: readonly FoundMail[],
  forwards: readonly CarriedForward[],
  { user }: { readonly user: string },
): MailSetting[] {
  return found.map(mail => {
    const { direction, title: protocol, kind } = mail.service
    const forward = forwards.find(({ spec }) => leadsTo(spec, mail))
    const encryption = kind.endsWith('s') ? 'tls' : 'none'
    return { direction, protocol, server: addressOf(forward), port: forward?.port ?? 0, user, encryption }
  })
}

function addressOf(forward: CarriedForward | undefined): string {
  const listen = forward?.spec.listen
  const bind = listen && 'port' in listen ? listen.bind : undefined
  return bind === undefined || bind === '*' ? '127.0.0.1' : bind
}

/** The same for people, and which direction there is nothing for. */
export function tellMail(
  found: readonly FoundMail[],
  forwards: readonly CarriedForward[],
  { user, host }: { readonly user: string; readonly host: string },
  say: Say,
): void {
  const words = { none: 'no encryption: the tunnel does it', tls: `SSL/TLS (the certificate names ${host})` }
  const rows = mailFacts(found, forwards, { user }).map(({ direction, protocol, server, port, encryption }) => [
    `  ${direction}`,
    protocol,
    `server ${server}`,
    `port ${port}`,
    words[encryption],
  ])
  say.line('in the mail program:')
  for (const row of columns(rows)) say.line(row)
  say.line(`  user ${user}, or whatever the mail server knows you by`)
  const missing = directions.filter(direction => !found.some(({ service }) => service.direction === direction))
  for (const direction of missing) say.note(`${host} has no ${direction} mail server that answers`)
}
