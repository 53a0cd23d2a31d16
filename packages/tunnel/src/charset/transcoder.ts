import { Transform } from 'node:stream'
import { type Decoder, TableDecoder, utf8Decoder } from './decoder.js'
import { type Encoder, TableEncoder, utf8Encoder } from './encoder.js'
import { Iso2022JpDecoder, Iso2022JpEncoder } from './iso-2022-jp.js'
import type { Charset } from './names.js'
import { loadTables } from './tables.js'

/** Turns bytes of one charset into bytes of another, however they are cut. Nothing that is not text throws. */
export interface Transcoder {
  /** Characters that are complete; the rest is held back. */
  turn(bytes: Uint8Array): Buffer
  /** What was held back, at the end. */
  end(): Buffer
  /** How many characters the other charset lacked: a `?` stands for each. */
  readonly lost: number
}

/** Loads the tables that are needed: 10 to 30 ms for those of the East. */
export async function makeTranscoder(from: Charset, to: Charset): Promise<Transcoder> {
  const [decoder, encoder] = await Promise.all([makeDecoder(from), makeEncoder(to)])
  return {
    turn: bytes => encoder.encode(decoder.decode(bytes)),
    end: () => encoder.encode(decoder.end()),
    get lost() {
      return encoder.lost
    },
  }
}

/**
 * The same as a stream.
 * @param onLost told once, when the first character was lost
 */
export function transcodingStream(transcoder: Transcoder, onLost: () => void = () => {}): Transform {
  let told = false
  const tell = (bytes: Buffer): Buffer => {
    if (transcoder.lost > 0 && !told) {
      told = true
      onLost()
    }
    return bytes
  }
  return new Transform({
    transform: (bytes: Buffer, _encoding, done) => done(null, tell(transcoder.turn(bytes))),
    flush: done => done(null, tell(transcoder.end())),
  })
}

async function makeDecoder(charset: Charset): Promise<Decoder> {
  if (charset.structure === 'utf-8') return utf8Decoder()
  const decoder = new TableDecoder(await loadTables(charset))
  return charset.structure === 'iso-2022-jp' ? new Iso2022JpDecoder(decoder) : decoder
}

async function makeEncoder(charset: Charset): Promise<Encoder> {
  if (charset.structure === 'utf-8') return utf8Encoder()
  const encoder = new TableEncoder(await loadTables(charset))
  return charset.structure === 'iso-2022-jp' ? new Iso2022JpEncoder(encoder) : encoder
}
