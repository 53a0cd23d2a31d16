import { KeytoolError } from '@keytool/keygen'
import { parseTarget, type Session, SessionStore } from '@keytool/tunnel'
import type { Run } from '../../context.js'
import { parse, type Usage } from '../../options.js'
import { type FieldOptions, fieldOptions, withFields } from './fields.js'
import { saySession } from './keep.js'

const usage: Usage = {
  command: 'session save',
  takes: '<name> [destination]',
  summary: 'Save a session: where a server is, who logs in, with which key, and what is to be forwarded.',
  examples: [
    'session save mail hana@example.com -p 229 --charset euc-jp -i ~/.ssh/id_ed25519 -L 1110:localhost:110 -L 1025:localhost:25',
  ],
  options: [...fieldOptions, ['--force', 'replace a session of this name']],
}

export const run: Run = async (args, context) => {
  const parsed = parse<FieldOptions & { force?: boolean }>(usage, args, context)
  if (!parsed) return 0
  const { options } = parsed
  const [name = '', destination] = parsed.words
  if ((destination === undefined) === (options.host === undefined)) {
    throw new KeytoolError('usage', 'say the host once: [USER@]HOST or --host HOST', {
      hint: `${context.name} session save --help`,
    })
  }
  const { host, port = 22, user } = parseTarget(destination ?? options.host ?? '')
  const bare: Session = {
    version: 1,
    name,
    host,
    port,
    ...(user !== undefined && { user }),
    forwards: { local: [], remote: [], dynamic: [] },
  }
  const { host: _, ...others } = options
  const session = withFields(bare, others, context)
  const path = await new SessionStore(context.places.config).save(session, { replace: options.force === true })
  context.say.done(`session ${name}  ${context.say.path(path)}`)
  await saySession(session, context)
  return 0
}
