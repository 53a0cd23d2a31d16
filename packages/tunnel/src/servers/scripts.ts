// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the shell has its own use for them
/**
 * The scripts that run on servers. They are fixed: all that varies comes on their stdin, first a marker that no other
 * output holds, so that greetings of login scripts before and after do not matter. Each is one line for `sh`, quoted so
 * that sh, csh and fish pass it on alike: no single quote, no exclamation mark, no newline, no doubled backslash. They keep
 * to what POSIX and busybox have; what is not everywhere is tried and done without.
 *
 * Each answers `MARKER begin`, its lines, a newline, and `MARKER end`: see {@link readAnswer}.
 */

/**
 * The marker, then which software serves (`dropbear` or not), then how to answer and to fail. `cd` alone leads home.
 * Messages of the server's own programs come in English, so that they can be told apart.
 */
const start = [
  'LC_ALL=C; export LC_ALL; umask 077; IFS= read -r m && IFS= read -r k || exit 90',
  'begin() { printf "%s begin\\n" "$m"; }; end() { printf "\\n%s end\\n" "$m"; }',
  'fail() { begin; printf "fail %s\\n%s" "$1" "$2"; end; exit 1; }',
  'cd || fail no-home',
]

/** OpenWrt's dropbear looks for root's keys there. Debian has that folder too, and looks into the home all the same. */
const choose = [
  'd=.ssh; if [ "$k" = dropbear ] && [ -f /etc/openwrt_release ] && [ -d /etc/dropbear ] && [ "$(id -u)" = 0 ]',
  'then d=/etc/dropbear; fi; f=$d/authorized_keys; l=$d/.authorized_keys.keytool-lock',
]

/** A folder or file that is there but can't be looked into is a failure, never "none". */
const look = [
  'if [ -d "$d" ]; then [ -x "$d" ] || fail unreadable; elif [ -e "$d" ] || [ -h "$d" ]; then fail no-folder; fi',
  'if [ -h "$f" ]; then [ -e "$f" ] || fail leads-nowhere; fi',
  'if [ -e "$f" ]; then [ -f "$f" ] || fail not-a-file; [ -r "$f" ] || fail unreadable; fi',
]

/** Answers `file PATH` and the file as it stands, or `none PATH`. Nothing above a mebibyte is sent. */
export const readScript: string = wrap(
  ...start,
  ...choose,
  ...look,
  'if [ -e "$f" ]; then [ $(wc -c < "$f") -le 1048576 ] || fail too-large',
  'begin; printf "file %s\\n" "$f"; cat "$f" || exit 1; else begin; printf "none %s\\n" "$f"; fi; end',
)

/**
 * SHA-256 where there is a program for it, else POSIX's cksum: two lines each say what both make of before and after. The
 * word before them is `empty` where before is: then there may be no file at all.
 */
const sums = [
  'IFS= read -r v && IFS= read -r b && IFS= read -r b2 && IFS= read -r a && IFS= read -r a2 || exit 90',
  'if command -v sha256sum > /dev/null 2>&1; then sum() { sha256sum; }',
  'elif command -v cksum > /dev/null 2>&1; then sum() { cksum; }; b=$b2; a=$a2; else fail no-sums; fi',
  'is() { s=$(sum) && [ "${s%  -}" = "$1" ]; }',
  'changed() { begin; printf changed; end; exit 0; }',
]

/** What is ours goes, however this ends. A lock that somebody took for stale is theirs. */
const cleaning = [
  't=; held=; made=; mine() { IFS= read -r x < "$l" && [ "$x" = "$m" ]; }',
  'clean() { if [ "$t" ]; then rm -f "$t"; fi; if [ "$held" ] && mine 2> /dev/null; then rm -f "$l"; fi',
  'if [ "$made" ]; then rmdir "$d" 2> /dev/null; fi; }',
  'trap clean EXIT; trap "exit 1" HUP INT PIPE TERM',
]

/**
 * Nobody waits in vain. The lock: a file that only one can make. One over a minute old was left by somebody who is gone. Whoever waits gives up
 * after some 75 seconds. `cat` writes into it: of why it could not, dash says nothing of use.
 */
const lock = [
  'if [ -e "$f" ]; then is "$b" < "$f" || changed; fi',
  'if [ -d "$d" ]; then :; elif e=$(mkdir "$d" 2>&1); then chmod 700 "$d"; made=y; else [ -d "$d" ] || fail unwritable "$e"; fi',
  // What is no file, as a link to a device, would be opened by everybody: it is there, that is enough.
  'i=0; until if [ -e "$l" ]; then false; else ( set -C; : > "$l" ) 2> /dev/null; fi',
  'do if [ -e "$l" ] || [ -h "$l" ]; then if [ "$(find "$l" -prune -mmin +1 2> /dev/null)" ]; then rm -f "$l"; fi',
  'else e=$( ( set -C; : > "$l" ) 2>&1 ) && break; [ -e "$l" ] || fail unwritable "$e"; fi',
  'if sleep 0.1 2> /dev/null; then i=$((i+1)); else sleep 1; i=$((i+10)); fi',
  'if [ $i -gt 750 ]; then fail locked; fi; done',
  'held=y; e=$( ( printf "%s\\n" "$m" | cat > "$l" ) 2>&1 ) || { rm -f "$l"; fail unwritable "$e"; }',
]

/** Links are followed to the file itself, and stay. The new one is made beside it, under a name of its own. */
const place = [
  'g=$f; i=0; while [ -h "$g" ]; do i=$((i+1)); [ $i -le 40 ] || fail leads-nowhere',
  'x=$(readlink "$g") || fail leads-nowhere; case $x in /*) g=$x;; *) g=${g%/*}/$x;; esac; done',
  'p=${g%/*}; n=${g##*/}; for x in "$p/.$n.keytool-new-"*; do if [ -e "$x" ]; then rm -f "$x"; fi; done; w=$p/.$n.keytool-new-${m#keytool-}',
  'e=$( ( set -C; : > "$w" ) 2>&1 ) || fail unwritable "$e"; t=$w',
]

/**
 * The new file takes over mode, owner, access list and label of the old one, and is written only then, down to the disk where
 * `dd` can. A group that this user can't give away is lost only where it may do exactly what everybody may. Descriptor 3 stays
 * at the old one's end: what another program appends to it after this is seen there, even once it has no name any more.
 */
const write = [
  'q=; none=; set -f; if [ -e "$g" ]; then exec 3< "$g" || fail unreadable; is "$b" <&3 || changed',
  'set -- $(ls -lnd "$g"); [ "$2" = 1 ] || fail has-links; o="$3 $4"',
  'e=$( { cp -a "$g" "$t" || cp -p "$g" "$t"; } 2>&1 ) || fail unwritable "$e"',
  'set -- $(ls -lnd "$t"); if [ "$3 $4" = "$o" ]; then :; elif [ "$3" = "${o% *}" ]',
  'then case $1 in -???------*|-???r--r--*|-???rw-rw-*) ;; *) fail foreign-owner;; esac; else fail foreign-owner; fi',
  'if command -v chcon > /dev/null 2>&1; then chcon --reference="$g" "$t" 2> /dev/null; fi',
  'if [ -w "$t" ]; then :; else q=y; chmod u+w "$t"; fi',
  'else [ "$v" = empty ] || changed; none=y; chmod 600 "$t"; fi',
  'e=$( ( cat > "$t" ) 2>&1 ) || fail unwritable "$e"; is "$a" < "$t" || fail cut-short',
  'e=$(dd if=/dev/null of="$t" conv=notrunc,fsync 2>&1) || case $e in *conversion*|*argument*|*"not found"*) ;; *) fail unwritable "$e";; esac',
  'if [ "$q" ]; then chmod u-w "$t"; fi',
]

/**
 * Once more it is looked at, and then its name goes to the new one. What was appended to the old one meanwhile is appended to
 * the new one, too, in a line of its own: at once, and after two seconds, since a program may have it open and write later.
 */
const swap = [
  'mine || changed; if [ "$none" ]; then if e=$(ln "$t" "$g" 2>&1); then rm -f "$t"; elif [ -e "$g" ] || [ -h "$g" ]',
  'then changed; else e=$(mv -f "$t" "$g" 2>&1) || fail unwritable "$e"; fi',
  'else is "$b" < "$g" || changed; e=$(mv -f "$t" "$g" 2>&1) || fail unwritable "$e"; fi; t=',
  'late() { x=$(cat <&3); if [ "$x" ] && [ -f "$g" ]; then if [ "$(tail -c 1 "$g" 2> /dev/null)" ]; then printf "\\n" >> "$g"; fi',
  'printf "%s\\n" "$x" >> "$g"; fi; }',
  'if [ "$none" ]; then :; else late; ( trap - EXIT; sleep 2; late ) < /dev/null > /dev/null 2>&1 & fi',
  'if command -v restorecon > /dev/null 2>&1; then restorecon "$d" "$g" > /dev/null 2>&1; fi',
  'begin; printf done; end',
]

/**
 * Puts what follows the sums on its stdin in the file's place if that is still what it was: answers `done` or `changed`. On
 * failure all is as it was.
 */
export const replaceScript: string = wrap(
  ...start,
  ...choose,
  ...sums,
  ...cleaning,
  ...look,
  ...lock,
  ...place,
  ...write,
  ...swap,
)

/**
 * What StrictModes of sshd_config(5) looks at, as `ls` shows it: the home folder, the file, and each folder on the way from
 * one to the other. First who the user is; then a line each, its kind in front; `private GID` where Debian's sshd lets the
 * group write, since nobody else is in it; last what SELinux says.
 */
export const examineScript: string = wrap(
  ...start,
  ...choose,
  'begin; h=$(pwd -P); printf "user %s %s\\n" "$(id -u)" "$(id -g)"',
  'show() { y=$2; if x=$(ls -lnd "$y" 2> /dev/null); then set -- "$1" $x; printf "%s %s %s %s %s\\n" "$1" "$2" "$4" "$5" "$y"',
  'else printf "%s missing 0 0 %s\\n" "$1" "$y"; fi; }; set -f',
  'show home "$h"; show folder "$d"; show file "$f"; g=$f; i=0',
  'while [ -h "$g" ] && [ $i -lt 40 ]; do i=$((i+1)); x=$(readlink "$g") || break; case $x in /*) g=$x;; *) g=${g%/*}/$x;; esac; done',
  'p=$(cd "${g%/*}" 2> /dev/null && pwd -P) || p=; if [ "$p" ]; then show target "$p/${g##*/}"; fi',
  'until [ -z "$p" ] || [ "$p" = "$h" ]; do show above "$p"; if [ "$p" = / ]; then p=; else p=${p%/*}; p=${p:-/}; fi; done',
  'if [ -f /etc/debian_version ]; then g=$(id -g); n=$(id -un); x=$(cut -d: -f4 /etc/passwd | grep -cx "$g")',
  'y=$(grep "^[^:]*:[^:]*:$g:" /etc/group); y=${y##*:}; if [ "$x" = 1 ] && { [ -z "$y" ] || [ "$y" = "$n" ]; }',
  'then printf "private %s\\n" "$g"; fi; fi',
  'if command -v getenforce > /dev/null 2>&1; then printf "selinux %s\\n" "$(getenforce 2> /dev/null)"; fi',
  'if command -v matchpathcon > /dev/null 2>&1',
  'then x=$(matchpathcon -V "$h/.ssh" "$h/.ssh/authorized_keys" 2> /dev/null); printf "%s\\n" "$x"; fi',
  'end',
)

/**
 * What this user may see of how the server is set up: `user NAME`, `home PATH`, `groups NAME ...`, and then each file of its
 * settings, a line `file PATH` (or `hidden PATH`) in front and a blank before each of its lines. The one it was started with (`-f`), if
 * the processes above this one show it, else the usual one.
 */
export const settingsScript: string = wrap(
  ...start,
  'begin; printf "user %s\\nhome %s\\ngroups %s\\n" "$(id -un)" "$PWD" "$(id -Gn)"; c=/etc/ssh/sshd_config; p=$PPID; i=0',
  'while [ "$p" -gt 1 ] 2> /dev/null && [ $i -lt 9 ]; do i=$((i+1)); x=$(tr "\\000" " " < /proc/$p/cmdline 2> /dev/null)',
  'case $x in *sshd*" -f "*) c=${x#* -f }; c=${c%% *}; break;; esac; p=$(sed -n "s/^PPid:[^0-9]*//p" /proc/$p/status 2> /dev/null); done',
  'show() { if [ -f "$1" ] && [ -r "$1" ]; then printf "file %s\\n" "$1"; head -n 2000 "$1" | sed "s/^/ /"; printf "\\n"; else printf "hidden %s\\n" "$1"; fi; }',
  'show "$c"; i=0; for x in /etc/ssh/sshd_config.d/*.conf; do i=$((i+1)); if [ -e "$x" ] && [ $i -lt 99 ]; then show "$x"; fi; done',
  'end',
)

function wrap(...steps: string[]): string {
  return `exec sh -c '${steps.join('; ')}'`
}
