import { type ErrorDetails, KeytoolError, showForeign } from '@keytool/keygen'
import { type AlgorithmClass, needsMac, type Offer, usualAmong, weakAmong } from './algorithms.js'
import { agree, type Lists, MARKERS } from './kex/kexinit.js'

/** How much of a server's list is shown, in characters. */
const MAX_LIST = 300

/** No algorithm in common; what would let the server's own in, for those who say it in their own words. */
export class NoMatch extends KeytoolError {
  /** Settings of ssh_config, such as `KexAlgorithms=+ssh-rsa`; empty where none helps. */
  readonly letIn: readonly string[]

  constructor(place: string, letIn: readonly string[], details: ErrorDetails) {
    super('unsupported', `${place} and this program have no algorithm in common`, details)
    this.letIn = letIn
  }
}

/** One list of KEXINIT: which of ours it is compared with, what it is called, and ssh's option for it. */
interface Row {
  readonly field: keyof Lists
  readonly ours: AlgorithmClass
  readonly label: string
  readonly option: string
}

/** In the order they are agreed on. */
const rows: readonly Row[] = [
  { field: 'kex', ours: 'kex', label: 'key exchange', option: 'KexAlgorithms' },
  { field: 'hostKey', ours: 'serverHostKey', label: 'host keys', option: 'HostKeyAlgorithms' },
  { field: 'cipherC2s', ours: 'cipher', label: 'ciphers', option: 'Ciphers' },
  { field: 'cipherS2c', ours: 'cipher', label: 'ciphers', option: 'Ciphers' },
  { field: 'macC2s', ours: 'hmac', label: 'MACs', option: 'MACs' },
  { field: 'macS2c', ours: 'hmac', label: 'MACs', option: 'MACs' },
]

/**
 * Says which algorithms the two sides do not share, and how the server's could be let in.
 * @param place `host:port`, ready to be shown
 */
export function explainNoMatch(place: string, offer: Offer, server: Lists, cause: unknown): NoMatch {
  const failed = rows.filter(
    ({ field, ours }) => isCompared(field, offer, server) && !matches(field, ours, offer, server),
  )
  const [first] = failed
  const reason =
    first && `it offers ${first.label} by ${showList(server[first.field].filter(name => !MARKERS.test(name)))} only`
  const settings = new Set(failed.map(row => letIn(row, server)))
  // It has what is offered where no list leaves anything out.
  const isOurs = failed.every(({ field, ours }) => usualAmong(ours, server[field]) !== undefined)
  const why = isOurs ? 'lists in ssh_config leave out what it has' : "if this server can't be updated"
  // One that can't be let in makes the others useless.
  const useful = settings.has(undefined) ? [] : [...settings].filter(setting => setting !== undefined)
  const hint =
    useful.length > 0 ? `${why}: add ${useful.map(setting => `-o ${setting}`).join(' ')}` : 'the server needs an update'
  return new NoMatch(place, useful, { ...(reason && { reason }), hint, cause })
}

function matches(field: keyof Lists, ours: AlgorithmClass, offer: Offer, server: Lists): boolean {
  return agree(allOf(ours, offer), server[field]) !== undefined
}

function allOf(ours: AlgorithmClass, offer: Offer): readonly string[] {
  if (ours === 'kex') return offer.more.order.kex
  if (ours === 'serverHostKey') return offer.more.order.hostKey
  return offer[ours]
}

/** A cipher that proves what it carries needs no MAC; where there is none in common, one that does is the likely cure. */
function isCompared(field: keyof Lists, offer: Offer, server: Lists): boolean {
  if (field !== 'macC2s' && field !== 'macS2c') return true
  const cipher = agree(offer.cipher, server[field === 'macC2s' ? 'cipherC2s' : 'cipherS2c'])
  return cipher === undefined || needsMac(cipher)
}

function letIn({ field, ours, option }: Row, server: Lists): string | undefined {
  const name = usualAmong(ours, server[field]) ?? weakAmong(ours, server[field])
  return name === undefined ? undefined : `${option}=+${name}`
}

function showList(names: readonly string[]): string {
  return showForeign(names.join(', '), MAX_LIST) || 'nothing'
}
