#!/bin/sh
# Builds and runs the measurements behind docs/decisions/0008-on-disk-state-format.md. Needs g++, Maven, cargo and about 12 GB of local disk.
#
#   ./run.sh rescale [million rows]            2 -> 3 and 3 -> 2, each way to bring rows in, verified row by row
#   ./run.sh layout <cf|state-first|key-first> <states> [thousand keys]
#   ./run.sh lists <merge|rows|rows-range>     append, read, clear
#   ./run.sh timers <plain|bound|sweep>        fire from the front, the three ways to step over tombstones
#   ./run.sh order <ordered|varint>            keys of recent numbers, by encoding
#
# WORK (default: a directory in $TMPDIR) keeps the library, the program and, while a command runs, its databases.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
work=${WORK:-${TMPDIR:-/tmp}/rocksdb-format-spike}
mkdir -p "$work/lib" "$work/headers/src"

if [ ! -e "$work/lib/librocksdb.so" ]; then
  mvn -q -B dependency:copy -Dartifact=org.rocksdb:rocksdbjni:10.4.2:jar:linux64 -DoutputDirectory="$work"
  unzip -qop "$work/rocksdbjni-10.4.2-linux64.jar" librocksdbjni-linux64.so > "$work/lib/librocksdb.so.part"
  mv "$work/lib/librocksdb.so.part" "$work/lib/librocksdb.so"
fi

# The crate carries the headers of exactly this version; nothing of it is compiled.
cat > "$work/headers/Cargo.toml" <<'TOML'
[package]
name = "headers"
version = "0.0.0"
edition = "2021"
[dependencies]
librocksdb-sys = { version = "=0.17.3", default-features = false }
TOML
: > "$work/headers/src/lib.rs"
include=$(cd "$work/headers" && cargo fetch -q && cargo metadata -q --format-version 1 | tr ',' '\n' |
  sed -n 's|.*"manifest_path":"\(.*librocksdb-sys-[^"]*\)/Cargo.toml".*|\1/rocksdb/include|p' | head -1)

# The library was built with the old libstdc++ ABI and without RTTI.
if [ -n "$(find "$here" -newer "$work/spike" -name '*.[ch]*' 2>/dev/null || echo first)" ] || [ ! -e "$work/spike" ]; then
  g++ -O2 -std=c++20 -fno-rtti -D_GLIBCXX_USE_CXX11_ABI=0 -I "$include" "$here"/*.cc \
    -L "$work/lib" -lrocksdb -lpthread -Wl,-rpath,"$work/lib" -o "$work/spike"
fi
mkdir -p "$work/data"
exec "$work/spike" "$work/data" "$@"
