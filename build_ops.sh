#!/usr/bin/env bash
# Builds, tests and shows bnn_tf.
#
#   ./build_ops.sh build           the ops and the Python module, then the C++ tests
#   ./build_ops.sh test [ARGS]     build, then pytest ARGS
#   ./build_ops.sh sanitize        the C++ tests under AddressSanitizer, UndefinedBehaviorSanitizer and ThreadSanitizer
#   ./build_ops.sh neon [FILTER]   the C++ tests for 64-bit ARM in an emulator: a choice of them, or those that FILTER names
#   ./build_ops.sh bench [ARGS]    the C++ benchmarks, with Google Benchmark's arguments
#   ./build_ops.sh lint            ruff, clang-format, mypy
#   ./build_ops.sh docs            the documentation site, into build/site; a warning is an error
#   ./build_ops.sh demo [ARGS]     build, then `bnn-tf compare ARGS`
#   ./build_ops.sh notebooks       build, then execute the notebooks: all, or those named behind it; --store keeps the outputs
#   ./build_ops.sh all             lint, docs, bench, demo, test
#
# Works in the virtual environment that is active, else in ./.venv, which it makes; it installs what is missing there.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

# Without OMP_NUM_THREADS, which nproc would take for the number of processors.
export CMAKE_BUILD_PARALLEL_LEVEL="${CMAKE_BUILD_PARALLEL_LEVEL:-$(env -u OMP_NUM_THREADS nproc 2>/dev/null || echo 2)}"
export PIP_DISABLE_PIP_VERSION_CHECK=1

say() { printf '\n== %s\n' "$*"; }
fail() { printf 'build_ops.sh: %s\n' "$*" >&2; exit 1; }

# ---- The machine

# System packages that the build needs and pip does not have. Root on a Debian system gets them, others are told.
require_system_packages() {
  local missing=()
  command -v "${CXX:-g++}" >/dev/null || missing+=(g++)
  command -v make >/dev/null || command -v ninja >/dev/null || missing+=(make)
  [[ -e "$(python -c 'import sysconfig; print(sysconfig.get_path("include"))')/Python.h" ]] || missing+=(python3-dev)
  [[ ${#missing[@]} -eq 0 ]] || install_system_packages "${missing[@]}" ||
    fail "${missing[*]} missing. Install: apt-get install ${missing[*]} (Debian, Ubuntu), or your system's packages of these."
}

# CMake downloads these where the system has none, so that failing to install them is no error.
offer_test_libraries() {
  [[ -e /usr/include/gtest/gtest.h && -e /usr/include/benchmark/benchmark.h ]] ||
    install_system_packages libgtest-dev libbenchmark-dev || true
}

# The browser in which the page of `bnn-tf report` is tested; where there is none, that is skipped.
offer_browser() {
  local name
  for name in chromium chromium-browser google-chrome chromium-headless-shell; do
    ! command -v "$name" >/dev/null || return 0
  done
  install_system_packages chromium-headless-shell || true
}

# Status 77 says that there is no emulator and none could be installed, so that a caller may skip what needs it.
require_emulator() {
  local missing=()
  command -v aarch64-linux-gnu-g++ >/dev/null || missing+=(g++-aarch64-linux-gnu)
  command -v qemu-aarch64 >/dev/null || missing+=(qemu-user)
  [[ ${#missing[@]} -eq 0 ]] && return
  install_system_packages "${missing[@]}" && return
  printf 'build_ops.sh: %s missing. Install: apt-get install %s (Debian, Ubuntu).\n' "${missing[*]}" "${missing[*]}" >&2
  exit 77
}

install_system_packages() {
  command -v apt-get >/dev/null && [[ $(id -u) -eq 0 ]] || return 1
  say "Installing $*"
  { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends "$@"; } >/dev/null
}

# ---- The environment

# Python 3.11 where there is one, else any for which there is a TensorFlow.
find_python() {
  local candidate
  for candidate in python3.11 python3 python3.12 python3.13 python3.10; do
    if "$candidate" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 14))' 2>/dev/null; then
      command -v "$candidate"
      return
    fi
  done
  fail "no Python 3.10 to 3.13, for which there is a TensorFlow. Install: apt-get install python3 python3-venv python3-dev; where" \
    "that is newer, python3.13 with its -venv and -dev."
}

make_environment() {
  "$1" -m venv .venv && return
  rm -rf .venv
  install_system_packages python3-venv && "$1" -m venv .venv && return
  rm -rf .venv
  fail "$1 can't make virtual environments. Install: apt-get install python3-venv."
}

enter_environment() {
  if [[ -z "${VIRTUAL_ENV:-}" ]]; then
    if [[ ! -x .venv/bin/python ]]; then
      local python
      python="$(find_python)"
      say "Making .venv with $python"
      make_environment "$python"
    fi
    # shellcheck disable=SC1091
    source .venv/bin/activate
  fi
  export PYTHONNOUSERSITE=1
}

# The list of requirements in pyproject.toml that the names of its tables lead to, one a line.
requirements() {
  python - "$@" <<'PYTHON'
import sys
try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10
    from pip._vendor import tomli as tomllib
with open("pyproject.toml", "rb") as file:
    found = tomllib.load(file)
for name in sys.argv[1:]:
    found = found[name]
print(*found, sep="\n")
PYTHON
}

build_requirements() {
  requirements build-system requires
  sed -n 's/^TENSORFLOW = "\(.*\)"$/\1/p' cmake/build_backend.py
}

# The package in editable form with all that its tests and checks need. Built without isolation: that would install TensorFlow
# a second time. Done once, and again when what it depends on changes.
install_package() {
  local stamp="$VIRTUAL_ENV/bnn_tf.installed" state
  state="$(pwd; cat pyproject.toml setup.py cmake/build_backend.py)"
  [[ -e "$stamp" && "$(cat "$stamp")" == "$state" ]] && return
  require_system_packages
  say "Installing into $VIRTUAL_ENV"
  python -m pip install --quiet --requirement <(build_requirements)
  python -m pip install --quiet --no-build-isolation --editable ".[dev,jax,notebooks,tflearn]"
  printf '%s\n' "$state" >"$stamp"
}

prepare() {
  enter_environment
  install_package
}

# ---- The commands

configure_and_build() {
  mkdir -p build
  offer_test_libraries
  say "Building"
  cmake -S . -B build -DPython_EXECUTABLE="$(command -v python)" -DBNN_TF_TESTS=ON "$@" >build/configure.log ||
    { cat build/configure.log; fail "CMake could not configure the build."; }
  cmake --build build
  cmake --install build --component bnn_tf --prefix . >/dev/null
}

build() {
  prepare
  configure_and_build
  say "C++ tests"
  run_core_tests '*' build/bnn_tests
}

# Core and its tests alone, without Python and TensorFlow, in a folder of their own.
build_core_tests() {
  local folder="$1"
  shift
  command -v cmake >/dev/null || prepare
  offer_test_libraries
  mkdir -p "$folder"
  cmake -S . -B "$folder" -DBNN_TF_OPS=OFF -DBNN_TF_PYTHON=OFF -DBNN_TF_TESTS=ON "$@" >"$folder/configure.log" ||
    { cat "$folder/configure.log"; fail "CMake could not configure $folder."; }
  cmake --build "$folder"
}

# Runs COMMAND on the tests that a filter names, a share of them on each processor, each within 20 minutes. GoogleTest counts it as
# success when there are none.
run_core_tests() {
  local filter="$1" shard status=0 shares=() logs
  shift
  logs="$(mktemp -d)"
  [[ "$("$@" --gtest_list_tests --gtest_filter="$filter")" == *$'\n  '* ]] || fail "no test is named $filter."
  for ((shard = 0; shard < CMAKE_BUILD_PARALLEL_LEVEL; shard++)); do
    GTEST_TOTAL_SHARDS="$CMAKE_BUILD_PARALLEL_LEVEL" GTEST_SHARD_INDEX="$shard" \
      timeout --kill-after=10 1200 "$@" --gtest_filter="$filter" >"$logs/$shard" 2>&1 &
    shares+=($!)
  done
  for shard in "${!shares[@]}"; do
    if wait "${shares[shard]}"; then
      grep -E '^\[(  PASSED  |==========)\].* (ran|tests?)\.' "$logs/$shard"
    else
      status=$?
      grep -vE '^\[( +OK |-+|=+)' "$logs/$shard" | tail -n 200
      [[ $status -ne 124 ]] || printf 'build_ops.sh: the last of these tests did not end within 20 minutes.\n' >&2
    fi
  done
  rm -rf "$logs"
  return "$status"
}

# ThreadSanitizer runs what shares work among threads: the tests named so, which hand items to threads of the standard library.
# Without OpenMP's own loop: libgomp is not built for ThreadSanitizer, which therefore sees races where there are none.
thread_tests='*Threads*:*Parallel*:*Team*:Pool.*:SharedJob.*:Allocation.Sharing*:WindowMean.*:-*/openmp'

sanitize() {
  say "AddressSanitizer, UndefinedBehaviorSanitizer"
  build_core_tests build/asan -DBNN_TF_SANITIZE=address,undefined
  UBSAN_OPTIONS=print_stacktrace=1 run_core_tests '*' build/asan/bnn_tests
  say "ThreadSanitizer"
  build_core_tests build/tsan -DBNN_TF_SANITIZE=thread
  run_core_tests "$thread_tests" build/tsan/bnn_tests
}

# Every kernel, both convolutions and the runtime of packed models; not the gradients, whose multiply-adds the emulator does in
# software, nor what is large.
neon_tests='-*ConvGradTest.*:*ALongFilter*:*ALargeImage*'

neon() {
  require_emulator
  local sources=()
  [[ ! -d /usr/src/googletest ]] || sources+=(-DFETCHCONTENT_SOURCE_DIR_GOOGLETEST=/usr/src/googletest)
  say "64-bit ARM"
  build_core_tests build/neon -DCMAKE_TOOLCHAIN_FILE=cmake/aarch64-linux-gnu.cmake "${sources[@]}"
  run_core_tests "${1:-$neon_tests}" qemu-aarch64 -L /usr/aarch64-linux-gnu build/neon/bnn_tests
}

bench() {
  prepare
  configure_and_build -DBNN_TF_BENCH=ON
  say "C++ benchmarks"
  build/bnn_bench "$@"
}

lint() {
  prepare
  say "ruff"
  ruff check .
  ruff format --check .
  say "clang-format"
  find cc_ops examples -name '*.h' -print0 -o -name '*.cc' -print0 | xargs -0 clang-format --dry-run -Werror
  say "mypy"
  mypy
}

docs() {
  prepare
  # Not the package itself, which is there.
  python -m pip install --quiet --requirement <(requirements project optional-dependencies docs)
  say "Documentation"
  NO_MKDOCS_2_WARNING=1 python -m mkdocs --quiet build --strict --clean
  printf 'build/site/index.html; with search: python -m http.server --directory build/site\n'
}

demo() {
  build
  say "bnn-tf compare $*"
  bnn-tf compare "$@"
}

notebooks() {
  build
  say "Notebooks"
  python notebooks/execute.py "$@"
}

run_tests() {
  build
  offer_browser
  say "pytest"
  # A worker for each processor, which TensorFlow in it needn't share out again; one that is done takes over tests of the others.
  TF_NUM_INTRAOP_THREADS="${TF_NUM_INTRAOP_THREADS:-1}" \
    python -m pytest --numprocesses "$CMAKE_BUILD_PARALLEL_LEVEL" --dist worksteal --durations=20 --durations-min=10 "$@"
}

usage() { sed -n '2,/^set /{/^#/s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}"; }

command="${1:-}"
[[ $# -eq 0 ]] || shift
case "$command" in
  build) build ;;
  test) run_tests "$@" ;;
  sanitize) sanitize ;;
  neon) neon "$@" ;;
  bench) bench "$@" ;;
  lint) lint ;;
  docs) docs ;;
  demo) demo "$@" ;;
  notebooks) notebooks "$@" ;;
  all) lint; docs; bench; demo; run_tests ;;
  help | -h | --help) usage ;;
  *) usage >&2; fail "unknown command \"$command\". Expected one of: build, test, sanitize, neon, bench, lint, docs, demo, notebooks, all." ;;
esac
