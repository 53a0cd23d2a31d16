import { KeytoolError } from '@keytool/keygen'
import { askingNobody, type Run } from '../context.js'
import { parse } from '../options.js'
import { examineHere } from './doctor/here.js'
import { examineHost } from './doctor/host.js'
import { type DoctorOptions, usage } from './doctor/options.js'
import { statusOf } from './doctor/report.js'
import { showReport } from './doctor/show.js'

export const run: Run = async (args, context) => {
  const parsed = parse<DoctorOptions>(usage, args, context)
  if (!parsed) return 0
  const { words, options } = parsed
  const { quiet = false, passwordFile, passphraseFile } = options
  if (passwordFile === '-' && passphraseFile === '-') {
    throw new KeytoolError('usage', 'only one secret can come from standard input')
  }
  // Whoever reads JSON is no person that could be asked.
  const asking = context.say.json ? askingNobody(context) : context
  const [word] = words
  const report = word === undefined ? await examineHere(context) : await examineHost(word, options, asking)
  showReport(report, quiet, context)
  return statusOf(report)
}
