import { showForeign } from '@keytool/keygen'
import { type Clues, formatPlace } from '@keytool/tunnel'
import type { Context } from '../../context.js'
import { type Destination, showDestination } from '../../reach.js'
import type { DoctorOptions } from './options.js'

/** One host that is looked at: the last one, or one on the way there. */
export interface Stop {
  readonly destination: Destination
  /** Words that name it on a command line. */
  readonly again: string
  readonly isLast: boolean
}

/** The hosts in the order they are dialled. */
export function stopsOf(word: string, destination: Destination, options: DoctorOptions, context: Context): Stop[] {
  const { hops } = destination
  const { config, option = [], port, login, jump } = options
  const { say } = context
  // What was said of the settings goes for those on the way, too; they are told apart from the last by their own words.
  const settings = [...flag('-F', config, context), ...option.flatMap(each => ['-o', say.word(each)])]
  const own = [...flag('-p', port, context), ...flag('-l', login, context), ...flag('-J', jump, context)]
  return [
    ...hops.map(hop => ({
      destination: { ...hop, hops: [] },
      again: [
        ...settings,
        ...(hop.port === 22 ? [] : ['-p', String(hop.port)]),
        say.word(`${hop.user}@${hop.host}`),
      ].join(' '),
      isLast: false,
    })),
    { destination, again: [...settings, ...own, say.word(word)].join(' '), isLast: true },
  ]
}

function flag(name: string, value: string | undefined, { say }: Context): string[] {
  return value === undefined ? [] : [name, say.word(value)]
}

/** @param key the file of the key it is about */
export function cluesOf({ destination, again }: Stop, key: string | undefined, { name, say }: Context): Clues {
  const { host, port, user, session } = destination
  return {
    program: name,
    place: showForeign(formatPlace(host, port)),
    account: showForeign(showDestination({ user, host, port: 22 })),
    user: say.word(user),
    host: say.word(host),
    again,
    ...(session && { session: say.word(session.name) }),
    ...(key !== undefined && { key: say.word(key) }),
  }
}
