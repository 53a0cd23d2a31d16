import type { Run } from '../context.js'
import { dispatchTo } from '../subcommands.js'

export const run: Run = dispatchTo({
  command: 'session',
  subcommands: {
    save: { summary: 'save where a server is and what is to be forwarded', load: () => import('./session/save.js') },
    list: { summary: 'list the saved sessions', load: () => import('./session/list.js') },
    show: { summary: 'show one', load: () => import('./session/show.js') },
    edit: { summary: 'change one', load: () => import('./session/edit.js') },
    remove: { summary: 'remove one', load: () => import('./session/remove.js') },
    import: { summary: "take over PuTTY's, KiTTY's, WinSCP's or ssh's", load: () => import('./session/import.js') },
    export: { summary: 'write them for ssh or PuTTY', load: () => import('./session/export.js') },
  },
  examples: [
    'session save mail hana@example.com -p 229 -L 1110:localhost:110 -L 1025:localhost:25',
    'session import putty.reg',
  ],
})
