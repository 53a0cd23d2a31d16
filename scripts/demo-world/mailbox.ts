export interface StoredMail {
  /** Unique in this mailbox for as long as it exists; for POP3's UIDL. */
  readonly id: string
  /** The whole mail with its headers; every line ends with CRLF. */
  readonly bytes: Buffer
}

/** More than any demo sends. */
const MOST_MAILS = 1000

/** One person's mail, in memory: SMTP puts in, POP3 takes out. */
export class Mailbox {
  #mails: StoredMail[] = []
  #delivered = 0
  #open = false

  /** False when the mailbox is full and the mail was not taken. */
  deliver(bytes: Buffer): boolean {
    if (this.#mails.length >= MOST_MAILS) return false
    this.#delivered++
    this.#mails.push({ id: String(this.#delivered).padStart(8, '0'), bytes: withCrlf(bytes) })
    return true
  }

  /**
   * Opens it for one reader at a time (RFC 1939 section 4). `undefined` while another has it. Mail that arrives
   * meanwhile is for the next reader.
   */
  open(): readonly StoredMail[] | undefined {
    if (this.#open) return undefined
    this.#open = true
    return [...this.#mails]
  }

  /** Ends what {@link Mailbox.open} began and removes these mails. */
  close(removed: ReadonlySet<StoredMail>): void {
    this.#open = false
    this.#mails = this.#mails.filter(mail => !removed.has(mail))
  }
}

/** Mail has CRLF at every line's end (RFC 5322 section 2.1), whatever came in. Bytes are kept: latin1 maps one to one. */
function withCrlf(bytes: Buffer): Buffer {
  const text = bytes.toString('latin1').replace(/\r\n|\r|\n/g, '\r\n')
  return Buffer.from(text === '' || text.endsWith('\r\n') ? text : `${text}\r\n`, 'latin1')
}
