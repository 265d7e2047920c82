#!/bin/sh
# Start a cluster on machines with ssh, and end it with Ctrl-C:  ssh.sh node1 node2 user@node3
#
# All machines have stemsplitter[cluster] in one path (BIN, by default the folder of this machine's `dask`). The scheduler
# runs here, at HOST (by default this machine's name) and PORT. Each machine gets WORKERS workers (by default one per core).
set -eu

[ $# -gt 0 ] || { echo "usage: $0 MACHINE…" >&2; exit 2; }
BIN=${BIN:-$(dirname "$(command -v dask)")}
HOST=${HOST:-$(hostname)}
PORT=${PORT:-8786}
WORKERS=${WORKERS:-auto}

trap 'trap - INT TERM EXIT; kill 0' INT TERM EXIT

"$BIN/dask" scheduler --host "$HOST" --port "$PORT" &
for machine; do
    # -tt: the workers end with the connection. The loop starts them again after they have died.
    ssh -tt "$machine" \
        "while true; do '$BIN/dask' worker 'tcp://$HOST:$PORT' --nworkers '$WORKERS' --nthreads 1; sleep 5; done" \
        < /dev/null &
done
echo "stemsplitter split SONGS -o STEMS --threads 1 --cluster tcp://$HOST:$PORT"
wait
