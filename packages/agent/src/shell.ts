import { KeytoolError } from '@keytool/keygen'

/** The two families of shells: `sh` and `csh`. */
export type ShellStyle = 'sh' | 'csh'

interface Style {
  readonly quote: (text: string) => string
  readonly set: (name: string, value: string) => string
  readonly unset: (name: string) => string
}

const styles: Readonly<Record<ShellStyle, Style>> = {
  sh: {
    quote: text => `'${text.replaceAll("'", "'\\''")}'`,
    set: (name, value) => `${name}=${value}; export ${name};`,
    unset: name => `unset ${name};`,
  },
  csh: {
    // History is replaced even between quotes: an exclamation mark needs a backslash outside them.
    quote: text => `'${text.replace(/['!]/g, "'\\$&'")}'`,
    set: (name, value) => `setenv ${name} ${value};`,
    unset: name => `unsetenv ${name};`,
  },
}

/** Nothing here means anything to a shell, so it stays bare, as ssh-agent prints it. */
const PLAIN = /^[\w@%+:,./-]+$/

/** The style of whoever runs: ssh-agent takes every SHELL that ends in `csh` for that family. */
export function shellStyle(shell: string | undefined): ShellStyle {
  return shell?.endsWith('csh') ? 'csh' : 'sh'
}

/**
 * The lines of `ssh-agent -s` and `-c`: what a shell evaluates to find the agent. Text for stdout, with its newlines.
 * @param pid absent when nobody knows which process answers there
 * @param foreground leaves SSH_AGENT_PID unset, as `ssh-agent -D` does
 * @throws KeytoolError `usage` for a path with control characters
 */
export function shellLines(style: ShellStyle, socket: string, pid?: number, foreground = false): string {
  const { set } = styles[style]
  const lines = [set('SSH_AUTH_SOCK', quoteFor(style, socket))]
  if (pid !== undefined && !foreground) lines.push(set('SSH_AGENT_PID', String(pid)))
  if (pid !== undefined) lines.push(`echo Agent pid ${pid};`)
  return `${lines.join('\n')}\n`
}

/** The lines of `ssh-agent -k`: what a shell evaluates to forget it. */
export function shellUnsetLines(style: ShellStyle, pid: number): string {
  const { unset } = styles[style]
  return `${unset('SSH_AUTH_SOCK')}\n${unset('SSH_AGENT_PID')}\necho Agent pid ${pid} killed;\n`
}

function quoteFor(style: ShellStyle, text: string): string {
  if (PLAIN.test(text)) return text
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  if (/[\0-\x1f\x7f]/.test(text)) {
    throw new KeytoolError('usage', `${JSON.stringify(text)} can't be told to a shell`, {
      hint: 'choose a path without control characters',
    })
  }
  return styles[style].quote(text)
}
