import { KeytoolError } from '@keytool/keygen'
import type { Run } from '../context.js'
import { fleetFlags } from '../fleet/choose.js'
import { parse } from '../options.js'
import { auditLocal } from './audit/local.js'
import { auditRemote, type RemoteOptions } from './audit/remote.js'

const remoteFlags = [
  ...fleetFlags,
  ['--known <file>', 'keys of others that are meant to be there: public keys, or lines of authorized_keys', 'many'],
  ['--no-logs', 'do not look into logs for the last use'],
  ['--password-file <file>', "the first line of FILE is the account's password (-: standard input)"],
  ['--passphrase-file <file>', "the first line of FILE is the key's passphrase (-: standard input)"],
  ['--host-key <fingerprint>', 'accept a server not known yet if it shows this key'],
] as const

const usage = {
  command: 'audit',
  takes: '[path|host...]',
  summary: [
    'Say what is wrong with keys and with the way they are kept: weak, unprotected, exposed, stale and orphaned ones, in ' +
      '~/.ssh and ~/.putty, where sessions and agent.json name them, and in the agent; or in the files and folders named.',
    'With --remote: whose keys get in on each host, which of them are weak, unknown, twice there or past their time, and ' +
      'when each was last used, as far as the logs there can be read. Nothing is changed, here or there.',
    'Ends with 0 whatever is found, unless --strict is given; a host that is not read has its own status.',
  ].join('\n'),
  examples: [
    'audit',
    'audit ~/keys --strict',
    'audit --remote web1 web2 --known team.pub',
    'audit --remote --hosts inventory.yml --json',
  ],
  options: [
    ['--remote', 'the words are hosts: look into authorized_keys there'],
    ['--strict', 'end with 1 when anything is found that is broken or weak'],
    ...remoteFlags,
  ],
} as const

interface Options extends RemoteOptions {
  readonly remote?: boolean
}

/** What only says something of hosts; `logs` is always there. */
const ofHosts: readonly (keyof Options)[] = [
  ...(['port', 'login', 'jump', 'config', 'option', 'parallel', 'known'] as const),
  ...(['passwordFile', 'passphraseFile', 'hostKey'] as const),
]

export const run: Run = async (args, context) => {
  const parsed = parse<Options>(usage, args, context)
  if (!parsed) return 0
  const { words, options } = parsed
  if (options.remote || options.hosts !== undefined) return auditRemote(words, options, args, usage.options, context)
  if (ofHosts.some(name => options[name] !== undefined)) {
    throw new KeytoolError('usage', 'that is said of hosts, and no host is looked at', {
      hint: `${context.name} audit --remote HOST`,
    })
  }
  return auditLocal(words, options.strict === true, context)
}
