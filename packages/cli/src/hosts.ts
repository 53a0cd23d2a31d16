import { fingerprint, KeytoolError, randomart } from '@keytool/keygen'
import { type ConfirmHost, type HostPolicy, KnownHosts, type UnknownHost } from '@keytool/tunnel'
import { askText, hasTerminal } from './ask.js'
import type { Context } from './context.js'

export interface HostChecking {
  /** A fingerprint that the user got from elsewhere: an unknown host that shows this key is accepted. */
  readonly hostKey?: string
  /** Read known_hosts, but write nothing: for `--dry-run`. */
  readonly readOnly?: boolean
}

/** How a host is proved: known_hosts first; an unknown one is asked about once, or compared with what was given. */
export function hostPolicy({ hostKey, readOnly = false }: HostChecking, context: Context): HostPolicy {
  const knownHosts = new KnownHosts({ home: context.places.home, readOnly })
  return { knownHosts, confirmHost: hostKey === undefined ? askAbout(context) : compareWith(hostKey) }
}

function compareWith(expected: string): ConfirmHost {
  return async unknown => {
    if (matches(expected, unknown)) return true
    throw new KeytoolError('host-key-unknown', `${nameOf(unknown)} shows another host key than --host-key says`, {
      reason: `it shows ${unknown.key.algorithm.label} ${unknown.fingerprint}`,
      hint: 'ask whoever runs the server which of the two is right',
    })
  }
}

function askAbout(context: Context): ConfirmHost {
  return async unknown => {
    const { say } = context
    const { key, fingerprint: shown, otherNames, certificateTrouble } = unknown
    const trouble = certificateTrouble === undefined ? '' : `its certificate does not count: ${certificateTrouble}`
    if (!hasTerminal(context)) {
      const reasons = [`it shows ${key.algorithm.label} ${shown}`, trouble, 'there is no terminal to ask on']
      throw new KeytoolError('host-key-unknown', `the host key of ${nameOf(unknown)} is not known`, {
        reason: reasons.filter(Boolean).join('; '),
        hint: `if that is right: ${againWith(`--host-key ${shown}`, context)}`,
      })
    }
    say.prompt(`the host key of ${nameOf(unknown)} is not known yet`)
    if (trouble) say.prompt(trouble)
    say.prompt(`${key.algorithm.label} ${shown}`)
    say.prompt(randomart(key))
    if (otherNames.length > 0) say.prompt(`the same key is known as ${otherNames.slice(0, 5).join(', ')}`)
    for (;;) {
      const answer = (await askText('Is that right? (yes/no/[fingerprint])', context)).trim()
      if (answer === 'no') return false
      if (answer === 'yes' || matches(answer, unknown)) return true
      say.prompt(
        /^(SHA256|MD5):/.test(answer)
          ? 'that is another fingerprint'
          : "type yes or no, or paste the server's fingerprint",
      )
    }
  }
}

function matches(expected: string, { key, fingerprint: shown }: UnknownHost): boolean {
  return expected === shown || expected === fingerprint(key, 'md5')
}

function nameOf({ host, port }: UnknownHost): string {
  return port === 22 ? host : `[${host}]:${port}`
}

/** This very line once more, with an option right behind the command: what stands behind a host may be another's. */
function againWith(option: string, { name, say }: Context): string {
  const [command = '', ...words] = process.argv.slice(2)
  return [name, command, option, ...words.map(word => say.word(word))].join(' ')
}
