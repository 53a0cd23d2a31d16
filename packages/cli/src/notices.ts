import type { ConnectOptions, HostSettings } from '@keytool/tunnel'
import type { Context } from './context.js'
import { type Destination, showDestination } from './reach.js'

/** Levels of LogLevel at which ssh shows neither a banner nor warnings. */
const HUSHED: readonly (string | undefined)[] = ['QUIET', 'FATAL', 'ERROR']

/** Whether ssh_config wants less said of this host. */
export function isHushed({ logLevel }: Pick<HostSettings, 'logLevel'>): boolean {
  return HUSHED.includes(logLevel)
}

/** What a server says to whoever logs in, shown so that nobody takes it for words of ours. */
export function showNotice(destination: Destination, lines: readonly string[]): string {
  return [`${showDestination(destination)} says:`, ...lines.map(line => `  | ${line}`)].join('\n')
}

/** Tells them on the terminal; what stands around a question always, since it may make no sense without. */
export function tellNotices(
  destination: Destination,
  tellsBanner: boolean,
  { say }: Context,
): NonNullable<ConnectOptions['onNotice']> {
  return (lines, kind) => {
    const text = showNotice(destination, lines)
    if (kind === 'question') say.prompt(text)
    else if (tellsBanner) say.note(text)
  }
}
