import type { Mailbox, StoredMail } from './mailbox.js'
import { sameSecret } from './secret.js'

export interface Reply {
  /** The first line, `+OK …` or `-ERR …`, without its end. */
  readonly line: string
  /** For a reply of several lines: all that follows but the final dot, every line with its CRLF, not dot-stuffed. */
  readonly body?: Buffer
  /** The connection ends after this reply. */
  readonly last?: boolean
}

export interface Account {
  readonly user: string
  readonly password: string
  readonly mailbox: Mailbox
}

type State = 'authorization' | 'transaction'

interface Command {
  readonly states: readonly State[]
  run(session: Pop3Session, argument: string): Reply
}

const MOST_TRIES = 3

/** One POP3 connection, RFC 1939: lines in, replies out. It knows no socket. */
export class Pop3Session {
  readonly #account: Account
  #state: State = 'authorization'
  #user: string | undefined
  #tries = 0
  #mails: readonly StoredMail[] = []
  readonly #deleted = new Set<StoredMail>()

  constructor(account: Account) {
    this.#account = account
  }

  /** The reply to one line, given without its end. */
  answer(line: string): Reply {
    const [, word = '', argument = ''] = /^(\S*)(?: (.*))?$/s.exec(line) ?? []
    const command = commands[word.toUpperCase()]
    if (!command) return failed('unknown command')
    if (!command.states.includes(this.#state)) return failed(`not now: this is the ${this.#state} state`)
    return command.run(this, argument)
  }

  /** The connection is gone. Without QUIT nothing is deleted (RFC 1939 section 6). */
  abandon(): void {
    if (this.#state === 'transaction') this.#account.mailbox.close(new Set())
    this.#state = 'authorization'
  }

  takeUser(name: string): Reply {
    this.#user = name
    return ok('now the password')
  }

  takePassword(password: string): Reply {
    if (this.#user === undefined) return failed('USER comes first')
    // Both are compared, so that a wrong name takes as long as a wrong password.
    const [sameUser, samePassword] = [
      sameSecret(this.#user, this.#account.user),
      sameSecret(password, this.#account.password),
    ]
    this.#user = undefined
    if (!sameUser || !samePassword) {
      this.#tries++
      return { ...failed('wrong name or password'), last: this.#tries >= MOST_TRIES }
    }
    const mails = this.#account.mailbox.open()
    if (!mails) return failed('the mailbox is open elsewhere')
    this.#mails = mails
    this.#state = 'transaction'
    return ok(`${mails.length} mails`)
  }

  quit(): Reply {
    if (this.#state === 'transaction') this.#account.mailbox.close(this.#deleted)
    this.#state = 'authorization'
    return { ...ok('bye'), last: true }
  }

  status(): Reply {
    const left = this.#left()
    return ok(`${left.length} ${left.reduce((sum, [, mail]) => sum + mail.bytes.length, 0)}`)
  }

  /** LIST and UIDL: one fact a mail, of all or of one. */
  list(argument: string, fact: (mail: StoredMail) => string | number): Reply {
    if (argument === '') {
      const lines = this.#left().map(([number, mail]) => `${number} ${fact(mail)}\r\n`)
      return { ...ok(`${lines.length} mails`), body: Buffer.from(lines.join(''), 'latin1') }
    }
    return this.#with(argument, (mail, number) => ok(`${number} ${fact(mail)}`))
  }

  retrieve(argument: string): Reply {
    return this.#with(argument, mail => ({ ...ok(`${mail.bytes.length} octets`), body: mail.bytes }))
  }

  /** TOP: the headers, the empty line, and the first lines of the text. */
  top(argument: string): Reply {
    const [, number = '', count = ''] = /^(\d{1,9}) +(\d{1,9})$/.exec(argument) ?? []
    if (count === '') return failed('TOP takes a number and a count of lines')
    return this.#with(number, mail => {
      const lines = mail.bytes.toString('latin1').split(/(?<=\r\n)/)
      const empty = lines.indexOf('\r\n')
      const shown = empty < 0 ? lines : lines.slice(0, empty + 1 + Number(count))
      return { ...ok('the top follows'), body: Buffer.from(shown.join(''), 'latin1') }
    })
  }

  delete(argument: string): Reply {
    return this.#with(argument, (mail, number) => {
      this.#deleted.add(mail)
      return ok(`mail ${number} goes at QUIT`)
    })
  }

  reset(): Reply {
    this.#deleted.clear()
    return ok('nothing is deleted')
  }

  /** The mails that are not deleted, each with its number: numbers never move within a session. */
  #left(): [number: number, mail: StoredMail][] {
    return this.#mails
      .map((mail, index): [number, StoredMail] => [index + 1, mail])
      .filter(([, mail]) => !this.#deleted.has(mail))
  }

  #with(argument: string, reply: (mail: StoredMail, number: number) => Reply): Reply {
    const mail = /^\d{1,9}$/.test(argument) ? this.#mails[Number(argument) - 1] : undefined
    if (!mail || this.#deleted.has(mail)) return failed('no such mail')
    return reply(mail, Number(argument))
  }
}

const early: readonly State[] = ['authorization']
const later: readonly State[] = ['transaction']
const always: readonly State[] = ['authorization', 'transaction']
const capabilities = ['USER', 'TOP', 'UIDL', 'PIPELINING']

/** RFC 1939 section 11; CAPA is RFC 2449. A null prototype: `constructor` is no command. */
const commands: Readonly<Record<string, Command>> = Object.assign(Object.create(null), {
  CAPA: { states: always, run: () => ({ ...ok('it can'), body: Buffer.from(`${capabilities.join('\r\n')}\r\n`) }) },
  USER: { states: early, run: (session, argument) => session.takeUser(argument) },
  PASS: { states: early, run: (session, argument) => session.takePassword(argument) },
  QUIT: { states: always, run: session => session.quit() },
  STAT: { states: later, run: session => session.status() },
  LIST: { states: later, run: (session, argument) => session.list(argument, mail => mail.bytes.length) },
  UIDL: { states: later, run: (session, argument) => session.list(argument, mail => mail.id) },
  RETR: { states: later, run: (session, argument) => session.retrieve(argument) },
  TOP: { states: later, run: (session, argument) => session.top(argument) },
  DELE: { states: later, run: (session, argument) => session.delete(argument) },
  RSET: { states: later, run: session => session.reset() },
  NOOP: { states: later, run: () => ok('') },
} satisfies Record<string, Command>)

function ok(text: string): Reply {
  return { line: `+OK ${text}`.trimEnd() }
}

function failed(text: string): Reply {
  return { line: `-ERR ${text}` }
}
