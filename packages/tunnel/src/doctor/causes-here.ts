import type { CauseRow } from './cause.js'
import { connectTo } from './remedies.js'

export type HereCause =
  | 'agent-silent'
  | 'agent-elsewhere'
  | 'agent-at-login'
  | 'keychain-locked'
  | 'ssh-modes'
  | 'session'
  | 'unknown'

/** What is wrong on this machine, and what nobody knows the cause of. */
export const hereCauses: Readonly<Record<HereCause, CauseRow>> = {
  'agent-silent': {
    code: 'unreachable',
    say: () => 'the agent runs, and does not answer',
    advice: 'it may be busy: ask it again',
    remedy: ({ program }) => `${program} list`,
  },
  'agent-elsewhere': {
    code: 'unreachable',
    say: () => 'this shell asks no agent that answers',
    advice: 'have it ask ours',
    remedy: ({ program }) => `eval "$(${program} agent)"`,
  },
  'agent-at-login': {
    code: 'failed',
    say: () => 'what is to start the agent at login does not fit',
    advice: 'have it written anew',
    remedy: ({ program }) => `${program} agent install`,
  },
  'keychain-locked': {
    code: 'refused',
    say: () => "the system's keychain is locked",
    advice: 'it opens with the login, or here',
    remedy: ({ program }) => `${program} keychain check`,
  },
  'ssh-modes': {
    code: 'refused',
    say: () => 'other users may read or change what is in ~/.ssh',
    advice: 'close it',
    remedy: () => 'chmod go-rwx ~/.ssh',
  },
  session: {
    code: 'damaged',
    say: () => "a saved session can't be read",
    advice: 'see which',
    remedy: ({ program }) => `${program} session list`,
  },
  unknown: {
    code: 'failed',
    say: ({ place }) => `${place} can't be used, and it is not known why`,
    advice: 'see what is done',
    remedy: clues => connectTo(clues, '-v '),
  },
}
