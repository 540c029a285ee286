#!/bin/sh
# prove.sh [serve|train] [ROOT]: the Containerfile's steps for a target in a clean Debian root, without a container engine.
# Needs root, debootstrap and a Debian mirror; "train" also about 12 GB and a quarter of an hour. It fails unless the
# service, run as another user than root, answers for a photograph, and before that
#   serve: the packages stay below 250 MB, and torch is absent;
#   train: that user does the whole job of a tiny recipe.
set -eu
target=${1:-serve} root=${2:-$(mktemp -d)/root}
case $target in
serve) extras=serve ;;
train) extras=all ;;
*) echo "prove.sh: unknown target '$target'; choose one of: serve, train" >&2; exit 2 ;;
esac
here=$(cd "$(dirname "$0")/.." && pwd)
mirror=${MIRROR:-http://deb.debian.org/debian}
limit_mb=250 port=18000

[ -x "$root/usr/bin/python3" ] ||
    debootstrap --variant=minbase --include=python3,python3-venv,ca-certificates bookworm "$root" "$mirror"
cp /etc/resolv.conf "$root/etc/resolv.conf"
if [ -n "${SSL_CERT_FILE:-}" ]; then # a network with an authority of its own
    install -D -m 644 "$SSL_CERT_FILE" "$root/etc/ssl/certs/ca-certificates.crt"
fi
rm -rf "$root/src" "$root/opt/edgeproof" "$root/var/lib/edgeproof/run" "$root/var/lib/edgeproof/state"
mkdir -p "$root/src"
(cd "$here" && git ls-files -z | tar --null --files-from=- --create) | tar --extract --directory "$root/src"
inside() { chroot "$root" /usr/bin/env -i PATH=/opt/edgeproof/bin:/usr/sbin:/usr/bin:/sbin:/bin OMP_NUM_THREADS=1 \
    ${PIP_INDEX_URL:+PIP_INDEX_URL="$PIP_INDEX_URL"} PIP_CERT=/etc/ssl/certs/ca-certificates.crt "$@"; }
as_user() { chroot --userspec=edgeproof "$root" /usr/bin/env -i HOME=/var/lib/edgeproof OMP_NUM_THREADS=1 \
    PYTHONDONTWRITEBYTECODE=1 /opt/edgeproof/bin/edgeproof "$@"; }

inside id edgeproof >/dev/null 2>&1 ||
    inside useradd --uid 10001 --home-dir /var/lib/edgeproof --create-home edgeproof
inside sh /src/packaging/install.sh /src "$extras" /opt/edgeproof
used=$(du -sm "$root/opt/edgeproof" | cut -f1)
echo "packages: $used MB"

trap 'umount "$root/dev/shm" "$root/proc" 2>/dev/null || true' EXIT
mount -t proc proc "$root/proc" 2>/dev/null || true # where the runtime reads which processor it has
mkdir -p "$root/dev/shm" && { mount -t tmpfs tmpfs "$root/dev/shm" 2>/dev/null || chmod 1777 "$root/dev/shm"; }
if [ "$target" = serve ]; then
    [ "$used" -lt "$limit_mb" ] || { echo "more than $limit_mb MB" >&2; exit 1; }
    ! inside /opt/edgeproof/bin/python -c 'import torch' 2>/dev/null || { echo "torch is installed" >&2; exit 1; }
else
    as_user run /src/tests/tiny.toml --out /var/lib/edgeproof/run
    echo "trained: $(inside stat --format '%U wrote %n' /var/lib/edgeproof/run/report.html)"
fi

inside /opt/edgeproof/bin/python -c "
from PIL import Image
Image.effect_noise((256, 256), 60).convert('RGB').save('/tmp/photo.jpg')"
chroot --userspec=edgeproof "$root" /usr/bin/env -i HOME=/var/lib/edgeproof OMP_NUM_THREADS=1 \
    /opt/edgeproof/bin/edgeproof serve --host 127.0.0.1 --port "$port" --state /var/lib/edgeproof/state &
service=$!
trap 'kill "$service" 2>/dev/null || true; umount "$root/dev/shm" "$root/proc" 2>/dev/null || true' EXIT
inside /opt/edgeproof/bin/python - "$port" <<'PYTHON'
import json, sys, time, urllib.request

address = f"http://127.0.0.1:{sys.argv[1]}"
for _ in range(300):
    try:
        urllib.request.urlopen(f"{address}/v2/health/ready", timeout=2)
        break
    except OSError:
        time.sleep(0.1)
with open("/tmp/photo.jpg", "rb") as photo:
    answer = json.load(urllib.request.urlopen(f"{address}/predict", data=photo.read(), timeout=10))
assert answer["images"][0]["verdict"] in {"real", "generated", "not sure"}, answer
print(f"answered: {answer['images'][0]['verdict']} by {answer['model']['name']}")
PYTHON
kill -TERM "$service"
wait "$service"
echo "ended well"
