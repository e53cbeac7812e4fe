# shellcheck shell=bash
# What several scripts say and do alike. It is sourced, before the directory is changed, and expects `set -euo pipefail`.

# The tree, and the directory that cargo and the scripts write to: `target` in the tree, or what CARGO_TARGET_DIR names. Scripts
# change directories and start each other, so the variable becomes absolute.
root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
output=${CARGO_TARGET_DIR:-$root/target}
[[ $output = /* ]] || output=$PWD/$output
export CARGO_TARGET_DIR=$output

say() { printf '%s\n' "$*"; }
die() { printf 'error: %s\n' "$*" >&2; exit 1; }
need() {
  local command
  for command; do
    command -v "$command" >/dev/null || die "$command is not installed (scripts/judges installs it)"
  done
}

# A Debian package's files: `debian WORK INTO PACKAGE VERSION`; WORK is a directory for what is downloaded. Debian drops old
# versions from its lists: then the present one is taken, and said.
debian() {
  local work=$1 into=$2 package=$3 version=$4 folder
  need apt-get dpkg-deb flock
  folder=$(mktemp -d "$work/deb.XXXXXX")
  # While one of several scripts renews the lists, the others would find none.
  (
    flock 8
    cd "$folder"
    fetch() { apt-get -qq -o APT::Sandbox::User=root download "$1" >/dev/null 2>error; }
    fetch "$package=$version" || {
      [ "$(id -u)" -ne 0 ] || apt-get -qq update >/dev/null || true
      fetch "$package=$version" || {
        fetch "$package" || die "$package cannot be downloaded: $(head -1 error)"
        say "  note: $package $version is gone, taking $(dpkg-deb -f ./*.deb Version)" >&2
      }
    }
  ) 8>"$output/apt.lock"
  mkdir -p "$into"
  dpkg-deb -x "$folder"/*.deb "$into"
  rm -rf "$folder"
}

# The target of Rust for musl on this machine, if programs can be built for it; else nothing, and why on standard error. As root
# scripts/judges installs the C compiler for it.
musl_target() {
  local target
  target=$(rustc -vV | sed -n 's/^host: \([^-]*\)-.*/\1-unknown-linux-musl/p')
  if ! command -v musl-gcc >/dev/null; then
    say 'musl-gcc is not installed (scripts/judges installs it)' >&2
  elif [ ! -d "$(rustc --print sysroot)/lib/rustlib/$target/lib" ] && ! rustup --quiet target add "$target" >/dev/null 2>&1; then
    say "Rust's library for $target is not installed (rustup target add $target)" >&2
  else
    say "$target"
  fi
}

# Builds a static program as it is shipped: `static_program TARGET RUSTFLAGS FLAGS...`, with these flags of cargo. Prints its path.
# With a target named, the flags are for what is shipped only: build scripts and procedural macros stay dynamic.
static_program() {
  local target=$1 rust_flags=$2
  shift 2
  RUSTFLAGS="-C target-feature=+crt-static $rust_flags" \
    cargo build --profile dist --locked --quiet --bin slashopt --target "$target" "$@" >&2 || return 1
  say "$output/$target/dist/slashopt"
}

# Builds the program that stands before a function in a container, for musl where that can be had. Prints its path.
small_program() {
  local target
  target=$(musl_target)
  [ -n "$target" ] || target=$(rustc -vV | sed -n 's/^host: //p')
  static_program "$target" '-C relocation-model=static' --no-default-features --features cli
}

# Packages from npm, into a directory: `from_npm INTO PACKAGE@VERSION...`. Versions are pinned, npm's transitive ones by a date.
# A second run finds everything and is instant; of several runs at once one installs and the others wait.
from_npm() {
  local into=$1
  shift
  need npm flock
  mkdir -p "$(dirname "$into")"
  exec 9>"$into.lock"
  flock 9
  if [ "$(cat "$into/installed" 2>/dev/null)" != "$*" ]; then
    rm -rf "$into.new"
    mkdir -p "$into.new"
    npm install --prefix "$into.new" --loglevel=error --no-audit --no-fund --ignore-scripts --before=2026-10-15 "$@" >/dev/null
    printf '%s\n' "$*" >"$into.new/installed"
    rm -rf "$into"
    mv "$into.new" "$into"
  fi
  exec 9>&-
}
