import { isKeytoolError, KeytoolError } from '@keytool/keygen'
import type { Prompts } from '../unlock/chain.js'
import { askToSign, type HostNames, learnNames, nameKey } from '../wording.js'
import type { AskingGate, HeldKey, Use } from './gate.js'

export interface ConfirmOptions {
  readonly prompts: Pick<Prompts, 'confirm'>
  /** What known_hosts calls a host. */
  readonly names: HostNames
  /** Whether a key that was not added so is to be confirmed all the same: what the policy says. Default: none. */
  readonly mustConfirm?: (key: HeldKey) => boolean
}

type SignUse = Extract<Use, { action: 'sign' }>

/**
 * Asks the user before a key signs that is held so. No is what everything means that is not a yes: nobody to ask, no
 * answer, a window that was closed.
 */
export function createConfirm({ prompts, names, mustConfirm = () => false }: ConfirmOptions): AskingGate {
  async function ask(use: SignUse): Promise<void> {
    const { by, key, signal = new AbortController().signal } = use
    const text = askToSign(use, await learnNames(use, names))
    let isAllowed: boolean
    try {
      isAllowed = await prompts.confirm(by, text, signal)
    } catch (cause) {
      throw unconfirmed(key, whyNot(cause), cause)
    }
    if (!isAllowed) throw unconfirmed(key, { reason: 'the user said no' })
  }
  return {
    asks: true,
    pass(use): void | Promise<void> {
      if (use.action !== 'sign') return
      if (use.key.terms.confirm || mustConfirm(use.key)) return ask(use)
    },
  }
}

interface Why {
  readonly reason: string
  readonly hint?: string
}

function whyNot(error: unknown): Why {
  if (!isKeytoolError(error)) return { reason: 'asking the user went wrong' }
  const { message, reason, hint } = error
  return { reason: reason ? `${message}: ${reason}` : message, ...(hint !== undefined && { hint }) }
}

function unconfirmed({ identity }: HeldKey, why: Why, cause?: unknown): KeytoolError {
  return new KeytoolError('refused', `the use of ${nameKey(identity)} was not confirmed`, { ...why, cause })
}
