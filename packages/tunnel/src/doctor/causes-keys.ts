import type { CauseRow } from './cause.js'
import { certificateOf, connectTo, keyOr } from './remedies.js'

export type KeysCause =
  | 'agent-locked'
  | 'agent-missing'
  | 'agent-empty'
  | 'key-missing'
  | 'key-damaged'
  | 'key-not-offered'
  | 'key-sealed'
  | 'agent-refuses'
  | 'too-many-keys'
  | 'certificate-expired'
  | 'certificate-not-yet-valid'
  | 'certificate-principal'
  | 'certificate-kind'
  | 'password-only'
  | 'second-factor'

/** What keeps the right key from being offered, or from being good enough. */
export const keysCauses: Readonly<Record<KeysCause, CauseRow>> = {
  'agent-locked': {
    code: 'refused',
    say: () => 'the agent is locked, so there is no key to offer',
    advice: 'open it',
    remedy: ({ program }) => `${program} unlock`,
  },
  'agent-missing': {
    code: 'unreachable',
    say: () => 'no agent answers, and no key is at hand without it',
    advice: 'start one, and load the key',
    remedy: clues => `eval "$(${clues.program} agent)" && ${clues.program} add ${keyOr(clues)}`,
  },
  'agent-empty': {
    code: 'secret-needed',
    say: () => 'the agent holds no key, and no key is at hand without it',
    advice: 'load one',
    remedy: clues => `${clues.program} add ${keyOr(clues)}`,
  },
  'key-missing': {
    code: 'not-found',
    say: ({ key }) => `${key === undefined ? 'the key' : key} is not here`,
    advice: 'name another, or make one',
    remedy: clues => `${clues.program} gen -f ${keyOr(clues)}`,
  },
  'key-damaged': {
    code: 'damaged',
    say: ({ key }) => `${key === undefined ? 'the key' : key} can't be used`,
    advice: 'see what it is',
    remedy: clues => `${clues.program} inspect ${keyOr(clues)}`,
  },
  'key-not-offered': {
    code: 'secret-needed',
    say: ({ place }) => `the settings keep the key from being offered to ${place}`,
    advice: 'name it',
    remedy: clues => connectTo(clues, `-i ${keyOr(clues)} `),
  },
  'key-sealed': {
    code: 'secret-needed',
    say: ({ place }) => `${place} takes the key, but nobody gave its passphrase`,
    advice: 'load it once',
    remedy: clues => `${clues.program} add ${keyOr(clues)}`,
  },
  'agent-refuses': {
    code: 'refused',
    say: ({ place }) => `${place} takes the key, but the agent does not sign with it`,
    advice: 'its policy, or whoever was asked, said no; what it did',
    remedy: ({ program }) => `${program} log`,
  },
  'too-many-keys': {
    code: 'secret-wrong',
    say: ({ place }) => `${place} hangs up before the right key is offered`,
    advice: 'name the key',
    remedy: clues => connectTo(clues, `-i ${keyOr(clues)} `),
  },
  'certificate-expired': {
    code: 'secret-wrong',
    say: ({ place }) => `the certificate that ${place} is shown has expired`,
    advice: 'ask whoever signs certificates for a new one; what it says',
    remedy: certificateOf,
  },
  'certificate-not-yet-valid': {
    code: 'secret-wrong',
    say: ({ place }) => `the certificate that ${place} is shown is not valid yet`,
    advice: "if this machine's clock is right, wait or ask for another; what it says",
    remedy: certificateOf,
  },
  'certificate-principal': {
    code: 'secret-wrong',
    say: ({ account }) => `the certificate is not for ${account}`,
    advice: 'log in as somebody it names, or ask for another; what it says',
    remedy: certificateOf,
  },
  'certificate-kind': {
    code: 'secret-wrong',
    say: () => "the certificate is a host's, not a user's",
    advice: "ask whoever signs certificates for a user's; what it says",
    remedy: certificateOf,
  },
  'password-only': {
    code: 'secret-needed',
    say: ({ account }) => `the server takes no key of ${account}`,
    advice: 'whoever runs it has to allow it (PubkeyAuthentication); until then with the password',
    remedy: clues => connectTo(clues),
  },
  'second-factor': {
    code: 'secret-needed',
    say: ({ account }) => `the server takes the key of ${account}, and wants more`,
    advice: 'it asks on a terminal',
    remedy: clues => connectTo(clues),
  },
}
