export const usage = {
  command: 'convert',
  takes: '<file>',
  summary:
    'Turn a private key into another format. Comment, passphrase and, where both have the same, a strong KDF are kept unless you say otherwise.',
  examples: ['convert old.ppk --to openssh -o id_old', 'convert ~/.ssh/id_rsa --to ppk -o id_rsa.ppk'],
  options: [
    ['--to <format>', 'openssh, ppk, ppk2, pem, pkcs8, sshcom or jwk'],
    ['-o, --output <file>', 'write it there instead of standard output'],
    ['--passphrase-file <file>', "the first line of FILE is the key's passphrase (-: standard input)"],
    ['--new-passphrase-file <file>', 'protect the result with this one instead'],
    ['--no-passphrase', 'leave the result without protection'],
    ['--cipher <cipher>', 'openssh: aes256-ctr and all of ssh-keygen -Z; pem, pkcs8: aes256-cbc, 3des-cbc ...'],
    ['--rounds <n>', 'openssh: bcrypt rounds; pkcs8: iterations of PBKDF2 (default: 24, 600000)'],
    ['--kdf <kdf>', 'pkcs8: pbkdf2 or scrypt (default: pbkdf2)'],
    ['--argon2 <kind>', 'ppk: id, i or d (default: id)'],
    ['--memory <KiB>', 'ppk: memory of Argon2 (default: 8192)'],
    ['--passes <n>', 'ppk: passes of Argon2 (default: 21)'],
    ['--parallel <n>', 'ppk: lanes of Argon2 (default: 1)'],
    ['--any-cost', 'open FILE however much its KDF asks for'],
    ['--force', 'replace a file that is there'],
  ],
} as const

export interface Options {
  to?: string
  output?: string
  passphraseFile?: string
  newPassphraseFile?: string
  /** commander turns `--no-passphrase` into this, true by default. */
  passphrase: boolean
  cipher?: string
  rounds?: string
  kdf?: string
  argon2?: string
  memory?: string
  passes?: string
  parallel?: string
  anyCost?: boolean
  force?: boolean
}
