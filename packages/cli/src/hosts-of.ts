import { fingerprint } from '@keytool/keygen'
import { type ConnectOptions, type HostPolicy, KnownHosts } from '@keytool/tunnel'
import type { Context } from './context.js'
import { hostPolicy } from './hosts.js'
import type { Destination } from './reach.js'

/** How this host is proved: by the files and under the name that its session or ssh_config say. */
export function policyFor(
  { settings, session }: Destination,
  { hostKey, dryRun = false }: { readonly hostKey?: string; readonly dryRun?: boolean },
  context: Context,
): HostPolicy {
  const { userKnownHostsFiles, globalKnownHostsFiles, hashKnownHosts, strictHostKeyChecking } = settings
  const alias = session?.hostKeyAlias ?? settings.hostKeyAlias
  return {
    ...hostPolicy({ ...(hostKey !== undefined && { hostKey }), readOnly: dryRun }, context),
    knownHosts: new KnownHosts({
      home: context.places.home,
      readOnly: dryRun,
      ...(userKnownHostsFiles && { files: userKnownHostsFiles }),
      ...(globalKnownHostsFiles && { systemFiles: globalKnownHostsFiles }),
      ...(hashKnownHosts !== undefined && { hash: hashKnownHosts }),
    }),
    // A fingerprint on the command line is an answer to the question.
    ...(strictHostKeyChecking && hostKey === undefined && { strict: strictHostKeyChecking }),
    ...(alias !== undefined && { alias }),
  }
}

/**
 * A server that changes its keys by itself is followed, as ssh follows it, unless ssh_config says no. That it was is said when
 * all is said: a server that was met for the first time tells its other keys each time.
 */
export function followHostKeys(
  { host, settings }: Destination,
  verbose: boolean,
  { say }: Context,
): Pick<ConnectOptions, 'updateHostKeys' | 'onHostKeysChanged'> {
  return {
    // Nobody is asked in the middle of the work: `ask` waits until somebody says yes.
    updateHostKeys: (settings.updateHostKeys ?? 'yes') === 'yes',
    onHostKeysChanged({ added, removed }) {
      if (!verbose) return
      for (const key of added) say.note(`${host} has a new host key, noted: ${fingerprint(key)}`)
      for (const key of removed) say.note(`${host} has given up a host key, forgotten: ${fingerprint(key)}`)
    },
  }
}
