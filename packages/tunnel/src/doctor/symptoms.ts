import type { CertificateTroubleKind } from '../connection/certificate-trouble.js'
import type { Cause } from './causes.js'
import { channelRefusalOf, farewellOf, systemCodeOf } from './facts.js'
import { greetingIn, type KeyTry, type Observed } from './observed.js'

/** An attempt that failed, with what its error says in facts, not in words. */
interface Failed extends Observed {
  readonly code: string
  readonly systemCode: string | undefined
  readonly farewell: string | undefined
  /** A hop's answer to the wish to be carried on. */
  readonly refusal: { readonly reason: number; readonly text: string } | undefined
  /** The key that the server asked a signature of. */
  readonly taken: KeyTry | undefined
  readonly certificate: CertificateTroubleKind | undefined
  readonly greets: boolean
  /** No key was there to offer. */
  readonly hasNone: boolean
}

const lookupCodes = /^(ENOTFOUND|ENODATA|EAI_[A-Z]+)$/
const tooMany = /too many authentication failures|max(imum)? auth/i

/** The first that fits is it: later ones take for granted that the earlier ones do not. */
const symptoms: readonly (readonly [Cause, (seen: Failed) => boolean])[] = [
  // The way there, by a hop: what that one says of it (RFC 4254 section 5.1; the words are those of its system).
  ['forward-denied', ({ dialled, refusal }) => !dialled && refusal?.reason === 1],
  ['refused', ({ dialled, refusal }) => !dialled && /refused/i.test(refusal?.text ?? '')],
  ['dns', ({ dialled, refusal }) => !dialled && /not known|no address|resol|lookup/i.test(refusal?.text ?? '')],
  ['timeout', ({ dialled, refusal }) => !dialled && /timed? ?out/i.test(refusal?.text ?? '')],
  ['timeout', ({ dialled, by, refusal, code }) => !dialled && by === 'hop' && !refusal && code === 'unreachable'],
  // … and from here.
  ['dns', ({ dialled, systemCode = '' }) => !dialled && lookupCodes.test(systemCode)],
  ['refused', ({ dialled, systemCode }) => !dialled && systemCode === 'ECONNREFUSED'],
  ['timeout', ({ dialled, systemCode }) => !dialled && systemCode === 'ETIMEDOUT'],
  ['hung-up', ({ dialled, systemCode }) => !dialled && systemCode === 'ECONNRESET'],
  ['proxy-command', ({ dialled, by }) => !dialled && by === 'program'],
  ['settings', ({ dialled, code }) => !dialled && (code === 'unsupported' || code === 'usage')],
  ['unreachable', ({ dialled }) => !dialled],

  // The greeting. sshd says these two in the place of one.
  ['server-busy', ({ greets, heard }) => !greets && /^Exceeded MaxStartups/m.test(heard)],
  ['locked-out', ({ greets, heard }) => !greets && /^Not allowed at this time/m.test(heard)],
  ['not-ssh', ({ greets, heard }) => !greets && heard !== ''],
  ['proxy-command', ({ greets, by }) => !greets && by === 'program'],
  ['hung-up', ({ greets, closedThere }) => !greets && closedThere],
  ['timeout', ({ greets }) => !greets],

  // Keys exchanged, and the host's own.
  ['host-key-unknown', ({ code }) => code === 'host-key-unknown'],
  ['host-key-changed', ({ code }) => code === 'host-key-changed'],
  ['no-common-algorithm', ({ proved, code }) => !proved && code === 'unsupported'],
  ['host-key-refused', ({ proved, code }) => !proved && code === 'refused'],
  ['hung-up', ({ proved, code, closedThere }) => !proved && code === 'unreachable' && closedThere],
  ['timeout', ({ proved, code }) => !proved && code === 'unreachable'],
  ['protocol', ({ proved, code }) => !proved && code === 'damaged'],

  // What there is to log in with.
  ['key-not-offered', ({ usesKeys, proved }) => proved && !usesKeys],
  ['key-sealed', ({ keysError }) => keysError?.code === 'secret-needed' || keysError?.code === 'secret-wrong'],
  ['key-damaged', ({ keysError }) => keysError !== undefined && keysError.code !== 'not-found'],
  ['agent-locked', ({ hasNone, agent }) => hasNone && agent === 'locked'],
  ['agent-missing', ({ hasNone, agent }) => hasNone && agent === 'missing'],
  ['key-not-offered', ({ hasNone, agent }) => hasNone && (agent === 'holds' || agent === 'forbidden')],
  ['agent-empty', ({ hasNone }) => hasNone],

  // The login.
  ['key-sealed', ({ taken }) => taken?.error?.code === 'secret-needed' || taken?.error?.code === 'secret-wrong'],
  ['agent-refuses', ({ taken }) => taken?.error?.code === 'refused' || taken?.error?.code === 'failed'],
  ['agent-missing', ({ taken }) => taken?.error?.code === 'unreachable'],
  ['key-missing', ({ taken }) => taken?.error?.code === 'not-found'],
  ['key-damaged', ({ taken }) => taken?.error !== undefined],
  ['too-many-keys', ({ keys = [], farewell = '' }) => keys.length > 1 && tooMany.test(farewell)],
  ['certificate-expired', ({ taken, certificate }) => !taken && certificate === 'expired'],
  ['certificate-not-yet-valid', ({ taken, certificate }) => !taken && certificate === 'not-yet'],
  ['certificate-principal', ({ taken, certificate }) => !taken && certificate === 'principal'],
  ['certificate-kind', ({ taken, certificate }) => !taken && certificate === 'not-a-user'],
  ['key-refused', ({ farewell = '' }) => tooMany.test(farewell)],
  ['login-ended', ({ farewell }) => farewell !== undefined],
  ['no-common-algorithm', ({ code }) => code === 'unsupported'],
  ['hung-up', ({ code, closedThere }) => code === 'unreachable' && closedThere],
  ['timeout', ({ code }) => code === 'unreachable'],
  ['protocol', ({ code }) => code === 'damaged'],
  ['password-only', ({ keys }) => keys === undefined],
  ['second-factor', ({ taken }) => taken?.signed === true],
  ['key-refused', ({ code }) => code === 'secret-wrong'],
  ['unknown', () => true],
]

/**
 * What an attempt that failed failed by.
 * @param certificate what is wrong with a certificate that was offered, as far as can be known here
 * @returns `undefined` for one that got in
 */
export function judge(seen: Observed, certificate?: CertificateTroubleKind): Cause | undefined {
  const { error, keys, keysError } = seen
  if (!error) return undefined
  const failed: Failed = {
    ...seen,
    code: error.code,
    systemCode: systemCodeOf(error),
    farewell: farewellOf(error),
    refusal: channelRefusalOf(error),
    taken: keys?.find(({ taken }) => taken),
    certificate,
    greets: greetingIn(seen) !== undefined,
    hasNone: keys?.length === 0 || keysError !== undefined,
  }
  return symptoms.find(([, fits]) => fits(failed))?.[0]
}
