#!/bin/sh
# Publishes a message to a channel of a moonwire cluster, with redis-cli.
#
#   ./publish.sh CHANNEL EVENT JSON [IDEMPOTENCY_KEY]
#
# REDIS_CLI is redis-cli with the options that lead to Redis, for example "redis-cli -s /run/redis.sock"
# (default: redis-cli). SIZE is the size of the channel's history in the app (100), TTL_MS its ttl (0: none).
# PUBLISH_LUA is the script publish.lua of the nodes' version of moonwire (default: that of this source tree).
set -eu

if [ $# -ne 3 ] && [ $# -ne 4 ]; then
  echo "usage: publish.sh CHANNEL EVENT JSON [IDEMPOTENCY_KEY]" >&2
  exit 2
fi
channel=$1 event=$2 data=$3 key=${4-}
redis=${REDIS_CLI:-redis-cli}
script=${PUBLISH_LUA:-$(dirname "$0")/../../csrc/broker/scripts/publish.lua}

# The script refuses if Redis has restarted since, and the nodes have not compared what they have seen.
run=$($redis INFO server | tr -d '\r' | sed -n 's/^run_id://p')

record="1 - $(($(printf %s "$event" | wc -c))) 0 0 0
$event$data"

set -- "{mw}:h" "{mw}:s:$channel" "{mw}:c:$channel" "{mw}:n:"
[ -z "$key" ] || set -- "$@" "{mw}:i:$key"
reply=$($redis --eval "$script" "$@" , \
  "$run" "" 0 "{mw}:m:$channel" "$record" "${SIZE:-100}" "${TTL_MS:-0}" 90000 0)
case $reply in
  OK*) echo "${reply#OK?}" ;;
  *)
    echo "publish.sh: $reply" >&2
    exit 1
    ;;
esac
