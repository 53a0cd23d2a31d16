import fs from 'node:fs'
import { basename } from 'node:path'

// Loaded into the program before it runs (--import): ends it with SIGKILL just before or just after it writes its journal,
// the first time that a host comes to a state, at a moment that is wanted and was not seen. The program knows nothing of it.

const { WANTED_MOMENTS: wantedFile = '', SEEN_MOMENTS: seenFile = '' } = process.env
const linesOf = file => fs.readFileSync(file, 'utf8').split('\n')
const wanted = new Set(linesOf(wantedFile))

for (const name of ['renameSync', 'linkSync']) {
  const original = fs[name]
  fs[name] = (from, to) => {
    if (!/^[0-9a-f]{16}\.json$/.test(basename(String(to)))) return original(from, to)
    const news = whatIsNew(JSON.parse(fs.readFileSync(from, 'utf8')), readIfThere(to))
    endOnce(news.map(each => `${each} before`))
    original(from, to)
    endOnce(news.map(each => `${each} after`))
  }
}
function whatIsNew(now, before) {
  const states = new Map((before?.hosts ?? []).map(({ id, state }) => [id, state]))
  const news = now.hosts.filter(({ id, state }) => states.get(id) !== state).map(({ state }) => state)
  if (JSON.stringify(now.followed) !== JSON.stringify(before?.followed)) news.push('followed')
  if (now.finished !== before?.finished) news.push('finished')
  return [...new Set(news)]
}

function readIfThere(path) {
  try {
    return JSON.parse(fs.readFileSync(path, 'utf8'))
  } catch {
    return undefined
  }
}

function endOnce(moments) {
  const seen = new Set(linesOf(seenFile))
  const fresh = moments.filter(moment => wanted.has(moment) && !seen.has(moment))
  if (fresh.length === 0) return
  fs.appendFileSync(seenFile, fresh.map(moment => `${moment}\n`).join(''))
  process.kill(process.pid, 'SIGKILL')
}
