import { ignore } from './draft.js'
import type { Keyword } from './keywords.js'
import { type Line, takeCommand } from './line.js'
import * as read from './values.js'

// Ways to check a host's key that are not done here.

/** Without it less would be checked than was asked for. The first word counts. */
function needed(asks: (line: Line) => boolean): Keyword {
  return (line, { needed }) => {
    const { keyword, active, place } = line
    const isAsked = asks(line)
    if (active && !needed.has(keyword)) needed.set(keyword, { place, isAsked })
  }
}

/** What it says may revoke a key, or make one a changed one. */
export const knownHostsCommand: Keyword = needed(line => takeCommand(line).toLowerCase() !== 'none')

/** With it a new name at a known address is refused when it shows another key. */
export const checkHostIp: Keyword = needed(line => read.flag(line) === true)

/** Without it more is asked, and never less. It has a say in UpdateHostKeys all the same. */
export const verifyHostKeyDns: Keyword = (line, draft) => {
  const value = read.yesNoAsk(line)
  if (!line.active) return
  draft.plain.verifyHostKeyDns ??= value
  if (value !== 'no') ignore(draft, { keyword: line.keyword, ...line.place })
}
