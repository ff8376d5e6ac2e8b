#!/bin/bash
# Sends a log of JSON lines to brownout as it grows: ship.sh FILE MAPPING [URL]
#
# A batch is what comes within a second. While brownout is away it is tried again, for ten
# minutes; what nobody took by then is lost. Where lines have no id, the key keeps a batch that is
# sent twice from counting twice.
tail -n "${SHIP_FROM:-0}" -F "$1" | while IFS= read -r line; do
    batch=$line lines=1 end=$((SECONDS + 1))
    while [ "$SECONDS" -le "$end" ] && [ "$lines" -lt 1000 ]; do
        if ! IFS= read -r -t 1 line; then
            # Out of time in the middle of a line: its rest is on the way.
            [ -n "$line" ] && IFS= read -r rest && batch+=$'\n'$line$rest
            break
        fi
        batch+=$'\n'$line lines=$((lines + 1))
    done
    read -r key </proc/sys/kernel/random/uuid
    printf '%s\n' "$batch" |
        curl -sS --retry 100 --retry-max-time 600 --retry-connrefused -o /dev/null \
            -H 'content-type: application/x-ndjson' -H "idempotency-key: $key" \
            --data-binary @- "${3:-http://127.0.0.1:10529}/v1/outcomes?mapping=$2"
done
