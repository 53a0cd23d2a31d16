import type { Run } from '../context.js'
import { dispatchTo } from '../subcommands.js'

export const run: Run = dispatchTo({
  command: 'keychain',
  about: "Passphrases that the system's keychain keeps, put there by add --remember and gen --remember.",
  subcommands: {
    list: { summary: 'list the keys whose passphrases it keeps', load: () => import('./keychain/list.js') },
    check: {
      summary: 'say whether it answers, and whether what it keeps fits',
      load: () => import('./keychain/check.js'),
    },
    forget: { summary: 'have it forget passphrases', load: () => import('./keychain/forget.js') },
  },
  examples: ['keychain forget ~/.ssh/id_work'],
})
