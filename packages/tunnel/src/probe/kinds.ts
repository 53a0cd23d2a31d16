/** How a protocol greets whoever connects. */
export interface Greeting {
  /** Its first line when all is well. */
  readonly alive: RegExp
  /** The line that ends it. */
  readonly last: RegExp
  /** What a client says that wants nothing more. */
  readonly goodbye: string
}

export type ProbeKind = 'tcp' | 'smtp' | 'pop3' | 'imap' | 'smtps' | 'pop3s' | 'imaps'

export interface ProbeRow {
  /** Ports where it is expected without being told. */
  readonly ports: readonly number[]
  readonly tls: boolean
  /** Absent: a connection that stands is all that can be known. */
  readonly greeting?: Greeting
}

/** RFC 5321 section 4.2: 220, over several lines perhaps (`220-`). */
const smtp: Greeting = { alive: /^220(?:[ -]|$)/, last: /^220(?: |$)/, goodbye: 'QUIT\r\n' }
/** RFC 1939 section 4. */
const pop3: Greeting = { alive: /^\+OK(?: |$)/, last: /^\+OK(?: |$)/, goodbye: 'QUIT\r\n' }
/** RFC 9051 section 7.1. */
const imap: Greeting = { alive: /^\* (?:OK|PREAUTH) /i, last: /^\* (?:OK|PREAUTH) /i, goodbye: 'k LOGOUT\r\n' }

/** One row a protocol that can be probed. The last three are wrapped in TLS from the start (RFC 8314). */
export const probeKinds: Readonly<Record<ProbeKind, ProbeRow>> = {
  tcp: { ports: [], tls: false },
  smtp: { ports: [25, 587], tls: false, greeting: smtp },
  pop3: { ports: [110], tls: false, greeting: pop3 },
  imap: { ports: [143], tls: false, greeting: imap },
  smtps: { ports: [465], tls: true, greeting: smtp },
  pop3s: { ports: [995], tls: true, greeting: pop3 },
  imaps: { ports: [993], tls: true, greeting: imap },
}

/** What is mostly spoken on a port. */
export function probeKindFor(port: number): ProbeKind {
  for (const [kind, { ports }] of Object.entries(probeKinds)) {
    if (ports.includes(port)) return kind as ProbeKind
  }
  return 'tcp'
}
