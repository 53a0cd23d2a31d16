import { KeytoolError, showForeign } from '@keytool/keygen'
import { splitWords } from './shell-words.js'

/** ssh's options that take a word. */
const TAKES_WORD = /^-[BbcDEeFIiJLlmOoPpQRSWw]$/

/**
 * The hosts on the way, from the arguments that Ansible hands to ssh (`-J bastion`, `-o ProxyJump=bastion`, or a
 * ProxyCommand that does no more than `ssh -W %h:%p bastion`). What else stands there does not change where the way leads
 * and is not for us: host keys are checked whatever it says.
 * @param name the variable's, for errors
 * @throws KeytoolError `unsupported` for a way that is another program, `damaged` for what is not closed
 */
export function readJumpArguments(text: string, name: string): string | undefined {
  const words = splitWords(text, false)
  if (!words) throw new KeytoolError('damaged', `the quotes in ${name} are not closed`)
  let jump: string | undefined
  // As with ssh, the first one counts.
  const take = (found: string | undefined) => {
    jump ??= found
  }
  for (let i = 0; i < words.length; i++) {
    const word = words[i] ?? ''
    const [, letter = '', joined] = /^-([A-Za-z])(.+)$/s.exec(word) ?? []
    const flag = joined !== undefined && TAKES_WORD.test(`-${letter}`) ? `-${letter}` : word
    let argument = flag === word ? undefined : joined
    if (argument === undefined && TAKES_WORD.test(flag)) {
      i += 1
      argument = words[i]
    }
    if (flag === '-J') take(argument)
    if (flag === '-o') take(readOption(argument ?? '', name))
  }
  return jump === 'none' ? undefined : jump
}

function readOption(option: string, name: string): string | undefined {
  const [, keyword = '', value = ''] = /^\s*(\w+)(?:\s*=\s*|\s+)(.*)$/s.exec(option) ?? []
  const plain = /^"(.*)"$/s.exec(value)?.[1] ?? value
  if (/^proxyjump$/i.test(keyword)) return plain
  if (!/^proxycommand$/i.test(keyword) || plain === 'none') return undefined
  const jump = readRelay(plain)
  if (jump !== undefined) return jump
  throw new KeytoolError('unsupported', `${name} has the way made by a program: ${showForeign(plain, 100)}`, {
    reason: 'programs that an inventory names are not run',
    hint: 'name the hosts on the way with -J, or as ProxyJump in ~/.ssh/config',
  })
}

/** `ssh -W %h:%p -q -p 2222 hana@bastion`, and no more. */
function readRelay(command: string): string | undefined {
  const [program, ...words] = splitWords(command, false) ?? []
  if (program !== 'ssh') return undefined
  let [relays, host, port, user]: [boolean, string?, string?, string?] = [false]
  for (let i = 0; i < words.length; i++) {
    const word = words[i] ?? ''
    if (word === '-q' || word === '-x' || word === '-a' || word === '-T') continue
    if (word === '-W' || word === '-p' || word === '-l') {
      i += 1
      const argument = words[i] ?? ''
      if (word === '-W') relays = /^(%h|\[%h\]):%p$/.test(argument)
      else if (word === '-p') port = argument
      else user = argument
    } else if (host === undefined && !word.startsWith('-')) host = word
    else return undefined
  }
  if (!relays || host === undefined || (port !== undefined && !/^\d{1,5}$/.test(port))) return undefined
  // Of two users or ports one would have to be chosen.
  if (/[,:]/.test(host) || (user !== undefined && (host.includes('@') || !/^[\w.-]+$/.test(user)))) return undefined
  return `${user === undefined ? '' : `${user}@`}${host}${port === undefined ? '' : `:${port}`}`
}
