#!/usr/bin/env bash
# Gives ci-ml an environment of its own, and prints the path of its command; whatever else it says goes to stderr.
#
#     ci_ml="$(bash templates/setup.sh)" && "$ci_ml" check
#
# action.yml and templates/ci-ml.yml call it, from a checkout of this repository. The environment that trains is neither
# asked nor touched: no variable of the job changes, and nothing is put on its PATH. Environments are kept in
#
#     ${RUNNER_TOOL_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}}/ci-ml/VERSION-KEY
#
# where KEY stands for everything that goes into one: the locks, ci-ml's own files, the interpreter and the platform. One
# that is there is complete, because it is built beside its place and renamed; so jobs may share the folder at any time.
#
# CI_ML_REMOTES says which kinds of DVC remotes it is for, separated by spaces: s3, gs, azure, ssh; empty for none of
# these. By default it is for those whose addresses are in the .dvc/config files that git tracks in the repository around
# the current folder. Set it where .dvc/config.local or a variable of DVC names another, or a dvc.yaml reads from one.
#
# CI_ML_EXTRAS says what else it is to have, separated by spaces: pandera for models of tables, postgres for tables of a
# PostgreSQL database, sigstore and model-signing for signatures; empty for none of these. By default it is what the
# ci-ml.yaml files that git tracks there have a key for, `schema`, `source`, `sign: sigstore` and `models: true`. Set it
# where the configuration has another name.
#
# CI_ML_PYTHON chooses the interpreter, as a path (/opt/python/bin/python3) or a version (3.13). By default it is the one
# on PATH, if ci-ml can run on it, else one that uv finds or downloads.
set -euo pipefail

# The interpreters that the lock has wheels for (tests/ci/test_setup.py compares this with pyproject.toml).
readonly OLDEST=11 NEWEST=14

# What DVC needs a package for, in the order in which it is installed. Each is a lock, and an extra in pyproject.toml.
readonly KINDS=(azure gs s3 ssh)

# What else some projects need a package for, as KINDS.
readonly EXTRAS=(pandera postgres sigstore model-signing)

# What an environment depends on in an interpreter: where it really is (in a virtual environment that is elsewhere), and
# its ABI. Fails for one that ci-ml cannot run on.
readonly PROBE='
import os, sys, sysconfig
fits = (3, int(sys.argv[1])) <= sys.version_info[:2] <= (3, int(sys.argv[2])) and sys.implementation.name == "cpython"
version = ".".join(map(str, sys.version_info[:3])) + "."
wanted = sys.argv[3] and sys.argv[3] + "."
if not fits or not version.startswith(wanted) or sysconfig.get_config_var("Py_GIL_DISABLED"):
    sys.exit(1)
print(os.path.realpath(getattr(sys, "_base_executable", "") or sys.executable))
print(sysconfig.get_config_var("SOABI"))
'

main() {
  case "$(uname -s)" in
    Linux | Darwin) ;;
    *) fail "ci-ml runs on Linux and macOS, not on $(uname -s); let the job run on one of them, such as ubuntu-latest" ;;
  esac
  local checkout cache version platform kinds more kind locks=(requirements/ci-ml.txt) found python="" key place
  checkout="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
  cache="${RUNNER_TOOL_CACHE:-${XDG_CACHE_HOME:-${HOME:-/var/tmp}/.cache}}/ci-ml"
  version="$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' "$checkout/src/ci_ml/__init__.py")"
  platform="$(uname -sm) $(getconf GNU_LIBC_VERSION 2>/dev/null || true)"
  kinds="$(remotes)"
  more="$(extras)"
  kinds+="${kinds:+${more:+ }}$more"
  for kind in $kinds; do
    locks+=("requirements/$kind.txt")
  done

  keep_to_ourselves
  if found="$(interpreter "${CI_ML_PYTHON:-}")"; then
    python="${found%%$'\n'*}"
  elif [[ "${CI_ML_PYTHON:-}" == */* ]]; then
    fail "$CI_ML_PYTHON is not a Python that ci-ml runs on, which are CPython 3.$OLDEST to 3.$NEWEST"
  else
    found="of uv: ${CI_ML_PYTHON:-any}"
  fi
  key="$({ printf '%s\n' "$platform" "$found" && sources "$checkout" "${locks[@]}"; } | "${SHA256[@]}")"
  place="$cache/$version-${key:0:16}"

  # Its interpreter may have been removed from under it.
  if [[ ! -x "$place/bin/python" || ! -x "$place/bin/ci-ml" ]]; then
    say "Setting up ci-ml $version${kinds:+ with $kinds} in $place"
    build "$checkout" "$cache" "$platform" "$python" "$place" "${locks[@]}"
  fi
  touch "$place/.used" 2>/dev/null || true # read-only, for example in an image
  printf '%s\n' "$place/bin/ci-ml"
}

# --- What the key is made of ----------------------------------------------------------------------------------------

SHA256=(sha256sum)
command -v sha256sum >/dev/null || SHA256=(shasum -a 256) # macOS

# The digest of every file that ends up in the environment, or decides what does; the locks are those that are used.
sources() {
  cd "$1"
  find "${@:2}" requirements/build.txt src/ci_ml examples templates \
    -type f ! -path '*/__pycache__/*' -print0 | LC_ALL=C sort -z | xargs -0 "${SHA256[@]}"
}

# The kinds of DVC remotes that the environment is for, on one line: each once, in the order of KINDS.
remotes() {
  local named=() name kind found=""
  if [[ -n "${CI_ML_REMOTES+set}" ]]; then
    read -r -d '' -a named <<<"$CI_ML_REMOTES" || true # which ends at the end, and not at a NUL
    for name in ${named[@]+"${named[@]}"}; do
      [[ " ${KINDS[*]} " == *" $name "* ]] ||
        fail "CI_ML_REMOTES names \`$name\`, and the kinds of DVC remotes are ${KINDS[*]} (the action's input \`remotes\`)"
    done
  else
    while IFS= read -r name; do
      case "$name" in
        gcs) named+=(gs) ;;
        az) named+=(azure) ;;
        sftp) named+=(ssh) ;;
        *) named+=("$name") ;;
      esac
    done < <(schemes)
  fi
  for kind in "${KINDS[@]}"; do
    if [[ " ${named[*]-} " == *" $kind "* ]]; then
      found+="${found:+ }$kind"
    fi
  done
  printf '%s\n' "$found"
}

# The schemes of the addresses of DVC's remotes, a line each. What is tracked may be anybody's, so git reads it, which
# follows no link, and nothing of it goes on but a scheme that is known. Without a repository there are none.
schemes() {
  local schemes='(s3|gs|gcs|azure|az|ssh|sftp)' quote="[\"']*" space='[[:space:]]*'
  LC_ALL=C git --no-pager -c grep.lineNumber=false -c grep.column=false grep --no-color -h -I -i -E \
    -e "^$space${quote}url$quote$space=$space$quote$schemes://" -- ':(top,glob)**/.dvc/config' 2>/dev/null |
    LC_ALL=C tr '[:upper:]' '[:lower:]' | LC_ALL=C sed -n -E "s,^[^=]*=$space$quote$schemes://.*,\1,p" || true
}

# What else the environment is to have, on one line: each once, in the order of EXTRAS.
extras() {
  local named=() name found=""
  if [[ -n "${CI_ML_EXTRAS+set}" ]]; then
    read -r -d '' -a named <<<"$CI_ML_EXTRAS" || true
    for name in ${named[@]+"${named[@]}"}; do
      [[ " ${EXTRAS[*]} " == *" $name "* ]] ||
        fail "CI_ML_EXTRAS names \`$name\`, and there are ${EXTRAS[*]} (the action's input \`extras\`)"
    done
  else
    ! has schema || named+=(pandera)
    ! has source || named+=(postgres)
    ! has sign sigstore || named+=(sigstore)
    ! has models true || named+=(model-signing)
  fi
  for name in "${EXTRAS[@]}"; do
    if [[ " ${named[*]-} " == *" $name "* ]]; then
      found+="${found:+ }$name"
    fi
  done
  printf '%s\n' "$found"
}

# Whether a configuration may have a key, or a key with this value. It is not read as YAML: what is found for nothing
# costs a package, and no more.
has() {
  local quote="[\"']?" value=""
  [[ -z "${2-}" ]] || value="[[:space:]]*$quote$2([^[:alnum:]_-]|\$)"
  LC_ALL=C git --no-pager grep -q -I -E -e "(^|[[:space:]{,])${quote}$1${quote}[[:space:]]*:$value" \
    -- ':(top,glob)**/ci-ml.yaml' 2>/dev/null
}

# The first interpreter that ci-ml can run on, as PROBE describes it: of the wanted path or version, else on PATH.
interpreter() {
  local wanted="$1" candidates=(python3 python3.14 python3.13 python3.12 python3.11 python) candidate found
  case "$wanted" in
    */*) candidates=("$wanted") && wanted="" ;;
    ?*) candidates=("python${wanted%.*}" "python$wanted" python3 python) ;;
  esac
  for candidate in "${candidates[@]}"; do
    found="$("$candidate" -I -c "$PROBE" "$OLDEST" "$NEWEST" "$wanted" 2>/dev/null)" || continue
    if [[ "$found" == /*$'\n'* ]]; then # and not /bin/true
      printf '%s\n' "$found"
      return
    fi
  done
  return 1
}

# --- Building -------------------------------------------------------------------------------------------------------

UNFINISHED="" # where something is being built
trap '[[ -z "$UNFINISHED" ]] || rm -rf "$UNFINISHED"' EXIT

build() {
  local checkout="$1" cache="$2" platform="$3" python="$4" place="$5" new uv site lock locks=()
  if ! { mkdir -p "$cache" && new="$(mktemp -d "$cache/.new-XXXXXX")"; } 2>/dev/null; then
    fail "$cache cannot be written to; set RUNNER_TOOL_CACHE or XDG_CACHE_HOME to a folder that can"
  fi
  UNFINISHED="$new"
  [[ ! -e "$place" ]] || mv "$place" "$new/broken"

  uv="$(find_uv "$checkout" "$cache" "$platform" "$new")"
  cd / # elsewhere uv would heed the settings of the project around it
  if [[ -n "$python" ]]; then
    "$uv" venv --quiet --relocatable --no-python-downloads --python "$python" "$new/env" >&2
  else
    UV_PYTHON_INSTALL_DIR="$cache/python" "$uv" venv --quiet --relocatable --managed-python \
      --python "${CI_ML_PYTHON:-">=3.$OLDEST,<3.$((NEWEST + 1))"}" "$new/env" >&2 ||
      fail "there is no Python that ci-ml runs on (CPython 3.$OLDEST to 3.$NEWEST), and uv could not download one;" \
        "install one, for example with actions/setup-python, or name one in CI_ML_PYTHON (the action's input \`python\`)"
  fi
  for lock in "${@:6}"; do
    locks+=("$checkout/$lock")
  done
  "$uv" pip sync --quiet --require-hashes --build-constraints "$checkout/requirements/build.txt" \
    --python "$new/env/bin/python" "${locks[@]}" >&2 ||
    fail "the packages of ${*:6} could not be installed; a mirror is set with UV_DEFAULT_INDEX or PIP_INDEX_URL"

  # ci-ml is Python and nothing else, so its files are the installation: no build, and no need of the checkout later.
  site="$(echo "$new"/env/lib/python3*/site-packages)"
  cp -R "$checkout/src/ci_ml" "$site/ci_ml"
  cp -R "$checkout/examples" "$checkout/templates" "$site/ci_ml/"
  find "$site/ci_ml" -name __pycache__ -prune -exec rm -rf {} +
  launcher >"$new/env/bin/ci-ml"
  chmod +x "$new/env/bin/ci-ml"
  publish "$new/env" "$place"
  tidy "$cache"
}

# -I: what lies in the current folder, in PYTHONPATH or in the user's site-packages belongs to the training. And bytecode
# is written, whatever PYTHONDONTWRITEBYTECODE says: importing DVC without costs seconds each time.
launcher() {
  cat <<'END'
#!/bin/sh
exec "${0%/*}/python" -I -c 'import sys; sys.argv[0] = "ci-ml"; from ci_ml.__main__ import main; main()' "$@"
END
}

# Renames a folder to a place where another job may have been faster; `mv` would put it into the other one.
publish() {
  "$1/bin/python" -I -c 'import os, sys; os.rename(*sys.argv[1:])' "$1" "$2" 2>/dev/null || [[ -d "$2" ]] ||
    fail "$1 could not be renamed to $2"
}

# Removes what killed jobs left behind a day ago, and environments that nobody has used for a month.
tidy() {
  find "$1" -mindepth 1 -maxdepth 1 -name '.new-*' -mtime +0 -exec rm -rf {} + || true
  find "$1" -mindepth 2 -maxdepth 2 -name .used -mtime +30 -print | while IFS= read -r used; do
    rm -rf "${used%/*}"
  done
}

# --- uv -------------------------------------------------------------------------------------------------------------

# The path of a uv: the one on PATH, if it is new enough, for the lock decides what is installed and not its version;
# else the one in requirements/uv.txt, kept beside the environments.
find_uv() {
  local checkout="$1" cache="$2" platform="$3" new="$4" own key
  if command -v uv >/dev/null && [[ "$(uv --version 2>/dev/null)" =~ ^uv\ ([0-9]+)\.([0-9]+) ]] &&
    ((BASH_REMATCH[1] > 0 || BASH_REMATCH[2] >= 9)); then
    command -v uv
    return
  fi
  key="$({ printf '%s\n' "$platform" && cat "$checkout/requirements/uv.txt"; } | "${SHA256[@]}")"
  own="$cache/uv-${key:0:16}"
  if [[ ! -x "$own/bin/uv" ]]; then
    say "Installing uv, which installs the rest"
    install_uv "$checkout/requirements/uv.txt" "$new"
    [[ -e "$own" ]] || mv "$new/uv" "$own" 2>/dev/null || true
    [[ -x "$own/bin/uv" ]] || fail "uv could not be put into $own"
  fi
  printf '%s\n' "$own/bin/uv"
}

# Installs the uv of a lock into DIR/uv, with whatever Python has pip, or can make an environment that does.
install_uv() {
  local lock="$1" new="$2" python
  for python in python3 python3.14 python3.13 python3.12 python3.11 python3.10 python; do
    "$python" -I -c 'import pip' 2>/dev/null || continue
    pip "$python" "$lock" "$new/uv" && return
    fail "uv could not be installed; a mirror is set with PIP_INDEX_URL"
  done
  for python in python3 python3.14 python3.13 python3.12 python3.11 python3.10 python; do
    "$python" -I -m venv "$new/pip" >/dev/null 2>&1 || continue
    pip "$new/pip/bin/python" "$lock" "$new/uv" && return
    fail "uv could not be installed; a mirror is set with PIP_INDEX_URL"
  done
  fail "neither uv nor a Python with pip is here to install ci-ml with;" \
    "install one before, for example with actions/setup-python, or python3-pip on Debian"
}

pip() {
  "$1" -I -m pip install --quiet --no-input --disable-pip-version-check --root-user-action ignore --no-compile --no-deps \
    --only-binary :all: --require-hashes --requirement "$2" --target "$3" >&2
}

# --- The job's environment, for the processes of this script alone --------------------------------------------------

# Of what the job set for its own Python, pip and uv, only where packages come from counts here, and how they get here.
keep_to_ourselves() {
  local name
  for name in "${!PYTHON@}" "${!UV_@}" "${!PIP_@}" VIRTUAL_ENV CONDA_PREFIX; do
    case "$name" in
      UV_*INDEX* | PIP_*INDEX* | *_FIND_LINKS | *_CONFIG_FILE | UV_*AUTH* | UV_CREDENTIALS_DIR | *_KEYRING_PROVIDER) ;;
      UV_INSECURE_HOST | PIP_TRUSTED_HOST | PIP_CERT | PIP_CLIENT_CERT | UV_*CERTS | UV_NATIVE_TLS | PIP_PROXY) ;;
      UV_NO_CACHE | *_CACHE_DIR | UV_OFFLINE | UV_LINK_MODE | UV_CONCURRENT_*) ;;
      UV_*TIMEOUT | UV_*RETRIES | PIP_DEFAULT_TIMEOUT | PIP_TIMEOUT | PIP_RETRIES) ;;
      UV_PYTHON_DOWNLOADS* | UV_PYTHON_INSTALL_MIRROR) ;;
      *) unset "$name" ;;
    esac
  done
  export PIP_REQUIRE_VIRTUALENV=0 PIP_USER=0 # pip.conf may ask for them

  # uv does not read pip's settings, and a company's mirror is often set up for pip alone.
  mirror UV_DEFAULT_INDEX "${UV_INDEX_URL:-}" index-url
  mirror UV_INDEX "${UV_EXTRA_INDEX_URL:-}" extra-index-url
  mirror UV_INSECURE_HOST "" trusted-host
  PIP_CERT="${PIP_CERT:-${REQUESTS_CA_BUNDLE:-}}" # as pip does
  mirror SSL_CERT_FILE "${SSL_CERT_DIR:-}" cert
}

# Sets a variable of uv to a setting of pip, unless it or what else says the same is set: PIP_NAME, or NAME in pip.conf.
mirror() {
  local variable="$1" same="$2" setting="$3" file value
  if [[ -n "${!variable:-}$same" ]]; then
    return
  fi
  value="PIP_$(printf '%s' "$setting" | tr 'a-z-' 'A-Z_')"
  value="${!value:-}"
  for file in "${PIP_CONFIG_FILE:-}" "${XDG_CONFIG_HOME:-${HOME:-}/.config}/pip/pip.conf" "${HOME:-}/.pip/pip.conf" \
    "${HOME:-}/Library/Application Support/pip/pip.conf" /etc/xdg/pip/pip.conf /etc/pip.conf; do
    if [[ -z "$value" && -r "$file" ]]; then
      value="$(sed -n "s/^[ \t]*${setting}[ \t]*[=:][ \t]*//p" "$file")"
    fi
  done
  if [[ -n "$value" ]]; then
    export "$variable=$value"
  fi
}

say() {
  printf '%s\n' "$*" >&2
}

# Ends with one clear message, which GitHub shows on the page of the run.
fail() {
  if [[ "${GITHUB_ACTIONS:-}" == true ]]; then
    say "::error title=ci-ml::$*"
  else
    say "error: $*"
  fi
  exit 2
}

main
