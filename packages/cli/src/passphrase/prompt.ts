import { stripVTControlCharacters } from 'node:util'
import type { Theme } from '@inquirer/core'
import type { Strength } from './strength.js'

/** The colours of the words, for those who paint them. */
export const labelColours: Readonly<Record<Strength['label'], 'red' | 'yellow' | 'green'>> = {
  'very weak': 'red',
  weak: 'red',
  fair: 'yellow',
  strong: 'green',
  'very strong': 'green',
}

const PAUSE_MS = 80
/** After Enter, what the answer shows is of one length: the screen's history need not tell the passphrase's. */
const SHOWN_AFTERWARDS = 12
const BULLET = '•'
/** Between the input and the word beside it: room for the cursor, and for the eye. */
const GAP = '  '

export interface PassphraseQuestion {
  readonly message: string
  /** Rates what is typed so far; undefined as long as nothing can be said. Absent: no meter. */
  readonly rate?: (passphrase: string) => Promise<Strength | undefined>
  /** A rating starts once nobody has typed for this long, in milliseconds. Default 80. */
  readonly pause?: number
  /** The word of a strength as this terminal shows it, in colour say. */
  readonly show?: (strength: Strength) => string
  /** Columns of the terminal that is written to. */
  readonly columns?: () => number | undefined
  readonly theme?: { readonly prefix?: string }
}

/** A prompt as inquirer's: it rejects with ExitPromptError on Ctrl-C, with AbortPromptError on the signal. */
export type PassphrasePrompt = (
  question: PassphraseQuestion,
  context?: { input?: NodeJS.ReadableStream; output?: NodeJS.WritableStream; signal?: AbortSignal },
) => Promise<string>

/**
 * A question for a new passphrase, with bullets for what is typed and, beside them, how strong it is so far:
 * `? passphrase for ~/.ssh/id_ed25519 ••••••••  weak`. Keys work as in inquirer's own `password`; nothing reveals what is
 * typed. Loads inquirer's core, which is why it is a function.
 */
export async function makePassphrasePrompt(): Promise<PassphrasePrompt> {
  const { createPrompt, isEnterKey, makeTheme, useEffect, useKeypress, usePrefix, useState } = await import(
    '@inquirer/core'
  )
  return createPrompt<string, PassphraseQuestion>((question, done) => {
    const theme = makeTheme<Theme>(question.theme)
    const [status, setStatus] = useState<'idle' | 'done'>('idle')
    const [typed, setTyped] = useState('')
    const [cursor, setCursor] = useState(0)
    // A rating keeps what it is of: while somebody types, the last one stands until the next; beside an answer, only its own.
    const [rated, setRated] = useState<{ typed: string; strength: Strength | undefined }>()
    const prefix = usePrefix({ status, theme })

    useKeypress((key, rl) => {
      if (status === 'done') return
      if (isEnterKey(key)) {
        // By now the line is empty: what was typed is what the key before left.
        setStatus('done')
        done(typed)
        return
      }
      setTyped(rl.line)
      if (rl.line === '') setRated(undefined)
      setCursor('cursor' in rl && typeof rl.cursor === 'number' ? rl.cursor : rl.line.length)
    })

    useEffect(() => {
      const { rate, pause = PAUSE_MS } = question
      if (!rate || typed === '') return
      let stale = false
      const timer = setTimeout(async () => {
        const strength = await rate(typed).catch(() => undefined)
        if (!stale) setRated({ typed, strength })
      }, pause)
      return () => {
        stale = true
        clearTimeout(timer)
      }
    }, [typed])

    const strength = status === 'idle' || rated?.typed === typed ? rated?.strength : undefined
    const word = strength ? (question.show?.(strength) ?? strength.label) : ''
    const before = `${prefix} ${theme.style.message(question.message, status)} `
    const [shown, at] = status === 'idle' ? [typed, cursor] : afterwards(typed)
    const view = layOut(before, shown, at, word, question.columns?.())

    // The library takes the end of the line for the end of the input. The cursor belongs where the next bullet comes.
    // It moves it whenever it draws, so this is done each time: no two objects are the same.
    useEffect(
      rl => {
        if (view.column === undefined) return
        rl.output.unmute()
        rl.output.write(`\u001b[${view.column + 1}G`)
        rl.output.mute()
      },
      [{}],
    )

    return [view.line, view.below]
  })
}

/** What stands for an answer once it is given, and the cursor's place in it. */
export function afterwards(typed: string): [string, number] {
  const shown = BULLET.repeat(typed === '' ? 0 : SHOWN_AFTERWARDS)
  return [shown, shown.length]
}

export interface Layout {
  readonly line: string
  /** What stands under the line; empty when all fits beside the input. */
  readonly below: string
  /** Where the cursor belongs, counted from 0; undefined where the library's own place is right. */
  readonly column?: number
}

/**
 * Where everything goes while somebody types. A bullet stands for a code point, which is what Backspace takes away.
 * @param before all that comes before the input, colours included
 * @param cursor where it is in `typed`, in UTF-16 units
 * @param word says how strong it is; may be empty
 * @param columns of the terminal
 */
export function layOut(before: string, typed: string, cursor: number, word: string, columns: number = 80): Layout {
  const bullets = BULLET.repeat(lengthOf(typed))
  const label = stripVTControlCharacters(before)
  const beside = word && GAP + word
  const length = lengthOf(label) + bullets.length + lengthOf(stripVTControlCharacters(beside))
  // What goes on in the next row, and text whose columns can't be counted, is left to the library; the word stands below.
  if (length >= columns || uncountable.test(label)) return { line: before + bullets, below: word }
  return { line: before + bullets + beside, below: '', column: lengthOf(label) + lengthOf(typed.slice(0, cursor)) }
}

/** What takes two columns in a terminal (East Asian scripts, emoji), or none (marks). */
const uncountable = /[\u1100-\u115f\u2e80-\u{10ffff}\p{M}]/u

/** In code points. */
function lengthOf(text: string): number {
  return [...text].length
}
