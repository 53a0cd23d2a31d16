import { join } from 'node:path'
import { fingerprint, KeytoolError, type PublicKey } from '@keytool/keygen'
import { type ConnectOptions, caSchemesIn, type HostPolicy, KnownHosts } from '@keytool/tunnel'
import type { Context } from './context.js'
import { hostPolicy } from './hosts.js'
import type { Destination } from './reach.js'

/**
 * How this host is proved: by the files and under the name that its session or ssh_config say.
 * @throws KeytoolError `unsupported` where ssh_config asks for more to be checked than is checked here
 */
export function policyFor(
  { settings, session }: Destination,
  { hostKey, dryRun = false }: { readonly hostKey?: string; readonly dryRun?: boolean },
  context: Context,
): HostPolicy {
  refuseNeeded(settings)
  const { userKnownHostsFiles, globalKnownHostsFiles, hashKnownHosts, strictHostKeyChecking, requiredRsaSize } =
    settings
  const alias = session?.hostKeyAlias ?? settings.hostKeyAlias
  return {
    ...hostPolicy({ ...(hostKey !== undefined && { hostKey }), readOnly: dryRun }, context),
    knownHosts: new KnownHosts({
      home: context.places.home,
      readOnly: dryRun,
      ...(userKnownHostsFiles && { files: userKnownHostsFiles }),
      ...(globalKnownHostsFiles && { systemFiles: globalKnownHostsFiles }),
      ...(settings.revokedHostKeysFiles && { revokedFiles: settings.revokedHostKeysFiles }),
      caSchemes: caSchemesIn(settings.caSignatureAlgorithms),
      ...(hashKnownHosts !== undefined && { hash: hashKnownHosts }),
    }),
    // A fingerprint on the command line is an answer to the question.
    ...(strictHostKeyChecking && hostKey === undefined && { strict: strictHostKeyChecking }),
    ...{ requiredRsaSize, ...(alias !== undefined && { alias }) },
  }
}

/** What is left out silently must not leave a host less well proved than its user wants it. */
function refuseNeeded({ needed = [] }: Destination['settings']): void {
  const [first] = needed
  if (!first) return
  const { keyword, file, line } = first
  throw new KeytoolError('unsupported', `${keyword} is not done here (${line === 0 ? file : `${file} line ${line}`})`, {
    reason: 'without it less would be checked than it asks for',
    hint: 'take it out, or pass -F none to read no file',
  })
}

/**
 * A server that changes its keys by itself is followed as ssh follows it: unless ssh_config says no, or has host keys kept or
 * checked elsewhere than usual. That a file was changed is said; other keys of a host that was met just now go with it.
 */
export function followHostKeys(
  { host, settings }: Destination,
  verbose: boolean,
  { say, places }: Context,
): Pick<ConnectOptions, 'updateHostKeys' | 'onHostKeysChanged'> {
  const { userKnownHostsFiles: files, verifyHostKeyDns = 'no', updateHostKeys } = settings
  const isUsual = files === undefined || (files.length === 1 && files[0] === join(places.home, '.ssh', 'known_hosts'))
  const list = (keys: readonly PublicKey[]) => keys.map(key => fingerprint(key)).join(', ')
  return {
    // Nobody is asked in the middle of the work: `ask` waits until somebody says yes.
    updateHostKeys: (updateHostKeys ?? (isUsual && verifyHostKeyDns === 'no' ? 'yes' : 'no')) === 'yes',
    onHostKeysChanged({ added, removed }, isFirstContact) {
      if (added.length > 0 && (verbose || !isFirstContact)) say.note(`${host} has new host keys, noted: ${list(added)}`)
      if (removed.length > 0) say.note(`${host} has given up host keys, forgotten: ${list(removed)}`)
    },
  }
}
