import { KeytoolError, showForeign } from '@keytool/keygen'
import type { Context } from '../../context.js'
import { columns } from '../../text.js'
import type { Report } from './report.js'

/** The report for people, for programs, or, with `--quiet`, as the one error that it comes to. */
export function showReport(report: Report, isQuiet: boolean, { say }: Context): void {
  const { host = null, user, port, steps, diagnosis, at } = report
  say.facts({
    host,
    ...(user !== undefined && { user, port }),
    ok: diagnosis === undefined,
    cause: diagnosis?.cause ?? null,
    evidence: diagnosis?.evidence ?? steps.map(({ text }) => text),
    remedy: diagnosis?.remedy ?? null,
    ...(diagnosis && { message: diagnosis.text, advice: diagnosis.advice }),
    ...(at !== undefined && { at }),
    steps,
  })
  if (say.json) return
  if (isQuiet) {
    if (!diagnosis) return
    const { code, text, evidence, advice, remedy } = diagnosis
    say.error(new KeytoolError(code, text, { reason: evidence.join('; '), hint: `${advice}: ${remedy}` }))
    return
  }
  // The mark is painted: it is put in front once the columns are lined up.
  const rows = columns(
    steps.map(({ step, at: where, text }) => [where === undefined ? step : `${step} (${where})`, text]),
  )
  const mark = (ok: boolean) => (say.unicode ? say.mark(ok) : say.mark(ok).padEnd(say.mark(false).length))
  for (const [i, row] of rows.entries()) say.line(`${mark(steps[i]?.ok === true)}  ${row}`)
  if (!diagnosis) return
  const { cause, text, evidence, advice, remedy } = diagnosis
  say.line(`${say.paint('bold', cause)}: ${say.path(text)}`)
  for (const line of evidence) say.line(`  ${say.path(line)}`)
  say.line(`${say.path(advice)}:`)
  say.line(`  ${showForeign(remedy, Number.POSITIVE_INFINITY)}`)
}
