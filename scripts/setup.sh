# Read by `demo` and `test`: makes a fresh clone ready. Says what it does only when it does something.
set -eu
cd "$(dirname "$0")/.."

fail() {
  printf '%s\n' "$@" >&2
  exit 1
}

command -v node >/dev/null 2>&1 || fail 'Node.js is missing: install Node 20.19 or newer'
node -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 20 || (a === 20 && b >= 19) ? 0 : 1)' ||
  fail "Node.js $(node --version) is too old: 20.19 or newer is needed"

# npm ci only when the lock file changed since the last time.
stamp=node_modules/.installed-for
if ! cmp -s package-lock.json "$stamp" 2>/dev/null; then
  echo 'installing npm packages (once)'
  npm ci --no-progress --loglevel=error
  cp package-lock.json "$stamp"
fi

echo 'building'
npm run --silent build
