export const usage = {
  command: 'gen',
  summary: 'Make a key pair. On a terminal, gen without -t asks for everything that is not given.',
  examples: [
    'gen',
    'gen -t rsa -b 4096 -f ~/.ssh/id_work -C work',
    "gen --count 40 -f 'keys/web-%02d' --no-passphrase",
  ],
  options: [
    ['-t, --type <type>', 'ed25519, ed448, ecdsa-256, ecdsa-384, ecdsa-521, rsa, mldsa44-ed25519 (default: ed25519)'],
    ['-b, --bits <n>', 'rsa: 2048 to 16384 (default: 3072)'],
    ['-f, --file <file>', 'where to (default: ~/.ssh/id_TYPE); the public half goes beside it, as FILE.pub'],
    ['-C, --comment <text>', 'a label (default: user@host)'],
    ['--format <format>', 'openssh, ppk, ppk2, pem, pkcs8, sshcom or jwk (default: openssh)'],
    ['--passphrase-file <file>', 'the first line of FILE is the passphrase (-: standard input)'],
    ['--no-passphrase', 'make the key without protection'],
    ['--rounds <n>', 'what a passphrase costs: bcrypt rounds, PBKDF2 iterations (default: some 0.4 s here)'],
    ['--count <n>', 'so many keys at once; %d in FILE and in the comment is the number, %03d with zeros'],
    ['--add', 'load it into the agent'],
    ['--force', 'replace files that are there'],
  ],
} as const

export interface Options {
  type?: string
  bits?: string
  file?: string
  comment?: string
  format?: string
  passphraseFile?: string
  /** commander turns `--no-passphrase` into this, true by default. */
  passphrase: boolean
  rounds?: string
  count?: string
  add?: boolean
  force?: boolean
}
