# Common functions of the other tools: output, a Python, and the locked packages. Sourced, in the project's folder.
say() { printf '\033[2m== %s\033[0m\n' "$*" >&2; }
stop() { printf '%s: %s\n' "$(basename "$0")" "$*" >&2; exit 1; }
[ -t 2 ] || say() { printf '== %s\n' "$*" >&2; }

# is_new_enough PYTHON
is_new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2> /dev/null; }
project_version() { sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml; }

# get_uv VENV: put the locked uv into a virtual environment, with the pip found there, and set uv's environment.
# The network's settings may be pip's (pip.conf, PIP_INDEX_URL, …) or uv's: each follows the other's.
get_uv() {
  local settings
  settings=$("$1/bin/python" tools/packages.py network) || stop "pip's settings can't be read: $1/bin/python -m pip config list"
  eval "$settings"
  # Locked packages come from any index that has them, for the hash decides. Nothing but packages is downloaded.
  export UV_INDEX_STRATEGY=unsafe-best-match UV_PYTHON_DOWNLOADS=never UV_LINK_MODE=copy UV_NO_PROGRESS=1
  local wanted
  wanted=$(mktemp)
  "$1/bin/python" tools/packages.py pin uv > "$wanted"
  PIP_USER=0 PIP_CONSTRAINT=/dev/null "$1/bin/python" -m pip install --quiet --disable-pip-version-check --no-input \
    --only-binary :all: --no-deps --require-hashes -r "$wanted" \
    || stop "pip can't install uv, which installs the rest; is a package index within reach? (PIP_INDEX_URL, PIP_FIND_LINKS)"
  rm -f "$wanted"
  uv=$1/bin/uv
}

# export_locked FILE OPTION…: write the locked packages that the options of `uv export` select, with their hashes.
# An export, since `uv sync` would ask the index of the day of locking, not the administrator's.
export_locked() {
  local file=$1; shift
  "$uv" export --quiet --frozen --python "${uv%/uv}/python" --no-emit-project --no-default-groups "$@" \
    --output-file "$file" > /dev/null
}

# install_locked VENV OPTION…: bring a virtual environment to exactly these packages.
install_locked() {
  local venv=$1 wanted; shift
  wanted=$(mktemp)
  export_locked "$wanted" "$@"
  # uv has no variable of its own for this option.
  "$uv" pip sync --quiet ${UV_NO_INDEX:+--no-index} --python "$venv/bin/python" --require-hashes --no-build "$wanted" \
    || stop "the locked packages (uv.lock) can't be installed; is a package index within reach? (PIP_INDEX_URL, PIP_FIND_LINKS)"
  # The command spares setuptools, with which an older Python's virtual environments begin.
  "$uv" pip uninstall --quiet --python "$venv/bin/python" setuptools 2> /dev/null
  rm -f "$wanted"
}
