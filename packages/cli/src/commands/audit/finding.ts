import type { Weakness } from '@keytool/keygen'
import type { Context } from '../../context.js'
import { count } from '../../text.js'

/** Something to be said of a key: what is known against it, or against the way it is kept. Escaped already. */
export interface Finding extends Omit<Weakness, 'code'> {
  readonly code: string
}

/** What has findings. */
interface Judged {
  readonly findings: readonly Finding[]
}

const colours = { broken: 'red', weak: 'yellow', note: 'dim' } as const
const grades = ['broken', 'weak', 'note'] as const

/** The gravest first; among equals as they were found. */
export function byGravity(one: Finding, other: Finding): number {
  return grades.indexOf(one.severity) - grades.indexOf(other.severity)
}

/** One line, such as `weak: others may read it (0644) (chmod 600 ~/.ssh/id_rsa)`. */
export function tellFinding({ severity, text, hint, reference }: Finding, { say }: Context): string {
  const more = [hint, reference].filter(Boolean).join('; ')
  return say.paint(colours[severity], `${severity}: ${text}${more && ` (${more})`}`)
}

/** How many of each grade, such as `1 broken, 2 weak, 1 note`; empty for none. */
export function countFindings(judged: readonly Judged[]): string {
  const all = judged.flatMap(({ findings }) => findings)
  return grades
    .map(grade => [grade, all.filter(({ severity }) => severity === grade).length] as const)
    .filter(([, number]) => number > 0)
    .map(([grade, number]) => (grade === 'note' ? count(number, 'note') : `${number} ${grade}`))
    .join(', ')
}

/** Whether there is more to be said than notes: what `--strict` ends with 1 for. */
export function needAttention(judged: readonly Judged[]): boolean {
  return judged.some(({ findings }) => findings.some(({ severity }) => severity !== 'note'))
}
