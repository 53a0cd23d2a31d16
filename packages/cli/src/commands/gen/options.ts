import { KeytoolError } from '@keytool/keygen'

export const usage = {
  command: 'gen',
  summary: 'Make a key pair. On a terminal, gen without -t asks for everything that is not given.',
  examples: [
    'gen',
    'gen -t rsa -b 4096 -f ~/.ssh/id_work -C work',
    'gen --remember',
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
    ['--remember', "keep the passphrase in the system's keychain; the agent then holds the key at every start"],
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
  remember?: boolean
  force?: boolean
}

/** The formats that show their public half: of others an agent could not say what key it holds sealed. */
const sealable: ReadonlySet<string> = new Set(['openssh', 'ppk', 'ppk2'])

/**
 * What `--remember` goes together with.
 * @throws KeytoolError `usage`
 */
export function checkRemember({ passphrase, count, format = 'openssh' }: Options): void {
  const hint = 'leave one of them out'
  if (!passphrase) {
    throw new KeytoolError('usage', '--remember and --no-passphrase contradict each other', { hint })
  }
  if (count !== undefined) {
    throw new KeytoolError('usage', '--remember is for one key, so it does not go with --count', { hint })
  }
  if (!sealable.has(format)) {
    throw new KeytoolError('usage', `--remember does not go with --format ${format}`, {
      reason: 'the agent could not hold the key before it is opened: such a file hides its public half',
      hint: '--format openssh or ppk',
    })
  }
}
