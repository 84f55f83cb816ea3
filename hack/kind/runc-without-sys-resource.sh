#!/bin/sh
# Stands in front of runc where root itself lacks CAP_SYS_RESOURCE (some virtual machines and containers): `--privileged` asks for every capability,
# and one that cannot be given fails the whole container. Takes it out of what runc is told, at `create` (the bundle's config.json) and at `exec`
# (the file after --process), and leaves everything else as it is.
set -eu
previous=
file=
for argument in "$@"; do
  case $previous in
    --bundle | -b) file=$argument/config.json ;;
    --process | -p) file=$argument ;;
  esac
  previous=$argument
done
if [ -n "$file" ] && [ -f "$file" ] && grep -q CAP_SYS_RESOURCE "$file"; then
  jq -c 'walk(if type == "array" then map(select(. != "CAP_SYS_RESOURCE")) else . end)' "$file" >"$file.reduced"
  # Written into the same file: its owner and mode are the engine's choice.
  cat "$file.reduced" >"$file"
  rm "$file.reduced"
fi
exec runc "$@"
