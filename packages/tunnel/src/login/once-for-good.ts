import type { Words } from '@keytool/agent'

/**
 * Runs a program, passes on that it is to end, whenever it is told so, and turns some of its exit statuses into 0: launchd
 * starts again whatever ends with another one, and has no list of those after which that is of no use. The first wait ends
 * with the signal, the next one with the program.
 */
const script = (final: readonly number[]) =>
  [
    `told=; trap 'told=1; [ -z "$!" ] || kill -TERM "$!" 2>/dev/null' TERM INT HUP`,
    '"$@" & pid=$!',
    '[ -z "$told" ] || kill -TERM "$pid" 2>/dev/null',
    'wait "$pid"; status=$?',
    'while kill -0 "$pid" 2>/dev/null; do wait "$pid"; status=$?; done',
    `case $status in ${final.join('|')}) exit 0;; esac`,
    'exit "$status"',
  ].join('; ')

/** The words for a shell that does it. `final`: at least one. */
export function onceForGood(words: Words, final: readonly number[]): Words {
  return ['/bin/sh', '-c', script(final), 'keytool', ...words]
}
