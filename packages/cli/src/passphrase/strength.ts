import type { ZxcvbnFactory } from '@zxcvbn-ts/core'

const labels = ['very weak', 'weak', 'fair', 'strong', 'very strong'] as const

export interface Strength {
  readonly label: (typeof labels)[number]
  /** The place of the label in its row. */
  readonly score: 0 | 1 | 2 | 3 | 4
  /** How long somebody who has the file guesses, such as `3 hours`. */
  readonly crackTime: string
  /** What makes it weak, in a few words without a full stop. Absent from `strong` on. */
  readonly advice?: string
}

/**
 * What somebody with the file tries: a key is opened at three guesses a second by one core of today, and a rented rig is
 * worth some three thousand of those (bcrypt leaves a graphics card about two hundred).
 */
const GUESSES_PER_SECOND = 1e4

/**
 * Guesses from which on the next label holds: two minutes of the rig above, a day, three centuries, and the time after
 * which nobody counts. The library counts words generously (three random ones as some 10^13.5, four as 10^19) and random
 * characters meanly (ten guesses each): so `strong` begins above three words, at fourteen characters.
 */
const thresholds = { 0: 1e6, 1: 1e9, 2: 1e14, 3: 1e20 }

/**
 * The part of a passphrase that is looked at, in UTF-16 units. The library's time grows faster than the length: 20 ms for
 * this, a second for 128. Nothing is lost: a start that long and not `very strong` is a repetition.
 */
const LOOKED_AT = 48
/** The library's own limit, 100 ways to read digits as letters, makes a rating ten times as slow, and the same. */
const LETTERS_SUBSTITUTED = 16

/**
 * The English lists that are looked at, and how far down; the library's general ones (leaked passwords, EFF's words) are
 * all of them. Without them `kowalski` and `rumpelstiltskin` count as random letters. The rarest surnames, Wikipedia's
 * words and the rows of weekdays and colours would double the time to load and to rate; what is missed so is `weak` still.
 */
const english: Readonly<Record<string, number>> = {
  'commonWords-en': Number.POSITIVE_INFINITY,
  'firstnames-en': Number.POSITIVE_INFINITY,
  'lastnames-en': 20_000,
}

/** The first question has to be on the screen before the machine is busy with this. */
const WARM_UP_AFTER_MS = 300

let loaded: Promise<ZxcvbnFactory | undefined> | undefined

/** Has the library loaded soon, while other questions are answered. Does nothing where it is loaded, or can't be. */
export function warmUp(): void {
  // Whoever is done by then needs no meter.
  setTimeout(() => void load(), WARM_UP_AFTER_MS).unref()
}

/**
 * How hard a passphrase is to guess. Neither it nor anything made from it is kept.
 * @param known words that an attacker reads off the file: user, host, file's name
 * @returns undefined where the library can't be loaded: then nobody is told anything
 */
export async function rateStrength(passphrase: string, known: readonly string[] = []): Promise<Strength | undefined> {
  const library = await load()
  if (!library) return undefined
  const { guesses, score, feedback } = library.check(passphrase.slice(0, LOOKED_AT), [...known])
  const [first, second] = feedback.suggestions
  // The second is about what was found, the first is always the same.
  const advice = score < 3 ? advices[feedback.warning ?? second ?? first ?? ''] : undefined
  return {
    label: labels[score],
    score,
    crackTime: describeTime(guesses / GUESSES_PER_SECOND),
    ...(advice !== undefined && { advice }),
  }
}

function load(): Promise<ZxcvbnFactory | undefined> {
  loaded ??= build().catch(() => undefined)
  return loaded
}

async function build(): Promise<ZxcvbnFactory> {
  const { setImmediate: breathe } = await import('node:timers/promises')
  const core = await import('@zxcvbn-ts/core')
  const common = await import('@zxcvbn-ts/language-common')
  // Each part takes some 50 ms, 200 on a busy machine. Keys that were pressed meanwhile come first.
  await breathe()
  const { dictionary } = await import('@zxcvbn-ts/language-en')
  await breathe()
  const lists = Object.entries(dictionary)
    .filter(([name]) => name in english)
    .map(([name, words]) => [name, words.slice(0, english[name])])
  return new core.ZxcvbnFactory({
    dictionary: { ...common.dictionary, ...Object.fromEntries(lists) },
    graphs: common.adjacencyGraphs,
    l33tMaxSubstitutions: LETTERS_SUBSTITUTED,
    timeEstimationValues: {
      scoring: thresholds,
      attackTime: {
        onlineThrottlingXPerHour: 100,
        onlineNoThrottlingXPerSecond: 10,
        offlineSlowHashingXPerSecond: GUESSES_PER_SECOND,
        offlineFastHashingXPerSecond: 1e10,
      },
    },
  })
}

const leaked = 'it is on the lists of leaked passwords'
const dated = 'years and dates are tried early'
const walked = 'rows and patterns of the keyboard are tried early'
const repeated = 'repetition adds next to nothing'
const named = 'names are tried early'
const more = 'more words, that nobody says together'

/** The library's findings, by their keys, in our words. */
const advices: Readonly<Record<string, string>> = {
  topTen: leaked,
  topHundred: leaked,
  common: leaked,
  similarToCommon: 'it is close to a leaked password',
  namesByThemselves: named,
  commonNames: named,
  userInputs: 'it is in what the file tells about itself',
  straightRow: walked,
  keyPattern: walked,
  longerKeyboardPattern: walked,
  simpleRepeat: repeated,
  extendedRepeat: repeated,
  repeated,
  sequences: 'runs such as abc and 123 are tried early',
  recentYears: dated,
  associatedYears: dated,
  dates: dated,
  l33t: 'digits in place of letters are tried, too',
  reverseWords: 'words are tried backwards, too',
  allUppercase: 'capitals are tried, too',
  capitalization: 'capitals at the start are tried, too',
  anotherWord: more,
  useWords: more,
  noNeed: more,
}

const DAY = 86_400
/** Units and their seconds, the largest first. */
const units = [
  ['year', 365 * DAY],
  ['month', 30 * DAY],
  ['day', DAY],
  ['hour', 3600],
  ['minute', 60],
] as const

/** `3 hours`, `200 years`; beyond a thousand years nobody counts. */
export function describeTime(seconds: number): string {
  const [unit, length] = units.find(([, each]) => seconds >= each) ?? []
  if (!unit) return 'under a minute'
  const number = Math.round(seconds / length)
  if (unit === 'year' && number > 1000) return 'over a thousand years'
  return number === 1 ? `1 ${unit}` : `${number} ${unit}s`
}
