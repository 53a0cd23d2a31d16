/** How many of a server's remarks are kept, and how much of each, in characters. */
const MOST = 32
const LONGEST = 1024

/** What a server says for people to read. It may say any amount of it, at any time after the first key exchange. */
export class Remarks {
  readonly texts: string[] = []

  note(text: string): void {
    if (this.texts.length < MOST) this.texts.push(text.slice(0, LONGEST))
  }
}
