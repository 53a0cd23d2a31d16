import { type FleetOptions, fleetFlags } from '../../fleet/choose.js'
import type { ForgeFlags } from '../../fleet/forge/forge.js'
import { type ForgeOptions, forgeFlags } from '../../fleet/forge/on-forge.js'
import type { Usage } from '../../options.js'

export const usage: Usage = {
  command: 'install-pubkey',
  takes: '[host...]',
  summary:
    'Put one public key into authorized_keys on each host, exactly once, and prove it by logging in with that key alone.',
  examples: [
    'install-pubkey hana@example.com',
    'install-pubkey -i ~/.ssh/id_work -p 229 --dry-run hana@example.com',
    'install-pubkey --hosts inventory.yml --password-file password',
    'install-pubkey --github --token-file token',
  ],
  options: [
    ['-i, --identity <file>', 'the key (default: id_ed25519, id_ecdsa or id_rsa of ~/.ssh)'],
    ...fleetFlags,
    ['--sftp', 'by SFTP alone, without a shell'],
    ['--options <options>', `what stands before the key there, such as 'from="192.0.2.*"'`],
    ['--dry-run', 'look, but write nothing, neither there nor here'],
    ['--password-file <file>', "the first line of FILE is the account's password (-: standard input)"],
    ['--passphrase-file <file>', "the first line of FILE is the key's passphrase (-: standard input)"],
    ['--host-key <fingerprint>', 'accept a server not known yet if it shows this key'],
    ...forgeFlags,
  ],
}

export interface InstallFlags extends FleetOptions, ForgeFlags, ForgeOptions {
  readonly identity?: string
  readonly sftp?: boolean
  readonly options?: string
  readonly dryRun?: boolean
  readonly passwordFile?: string
  readonly passphraseFile?: string
  readonly hostKey?: string
}
