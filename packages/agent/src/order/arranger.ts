import { PublicKey } from '@keytool/keygen'
import { fingerprintOf } from '../agent.js'
import { mayLogInTo } from '../gates/policy.js'
import type { Naming } from '../hosts/naming.js'
import type { Policy } from '../policy/policy.js'
import type { Arranger } from '../ring/ring-core.js'
import type { Order } from './order.js'
import type { Reason } from './order-rules.js'

const WHY: Readonly<Record<Reason, string | null>> = {
  rule: 'its rule names the host',
  worked: 'it got in last time',
  'worked-before': 'it got in before',
  untried: null,
  'in-vain': 'it was offered there in vain',
}

/** The learnt order as a ring asks for it. */
export function arrangerOf(order: Order, policy: () => Policy, naming: Naming): Arranger {
  return {
    arrange: (keys, by) => order.arrange(keys, by),
    note: (by, blob) => order.note(by, blob),
    explain(keys, hostKeys, by) {
      const names = hostKeys.flatMap(blob => naming(PublicKey.fromBlob(blob, '', 'later'), by))
      const shown = keys.filter(key => mayLogInTo(policy(), key, names))
      const prints = new Map(shown.map(({ identity }) => [identity.blob.toString('base64'), fingerprintOf(identity)]))
      return order.explain(shown, hostKeys).map(({ key, comment, because }) => ({
        fingerprint: prints.get(key) ?? key,
        comment,
        why: WHY[because],
      }))
    },
  }
}
