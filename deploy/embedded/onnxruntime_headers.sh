#!/bin/sh
# Puts the headers of ONNX Runtime's C API into DIR; its Python wheel holds the library without them.
# They come from Debian's libonnxruntime-dev. A Debian that is too old to have it asks for the release that does, from the
# mirror that apt uses already, with lists of its own: nothing is installed and apt's own settings stay as they are.
# An older header serves a newer library: the C API only grows.
set -eu
mkdir -p "${1:?usage: onnxruntime_headers.sh DIR}"
dir=$(cd "$1" && pwd)
for tool in apt-get dpkg-deb; do
    command -v "$tool" >/dev/null || { echo "onnxruntime_headers.sh: no $tool here, expected Debian or a kin" >&2; exit 2; }
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
if ! apt-get download -q libonnxruntime-dev >log 2>&1; then
    mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' | grep -v security | head -n 1)
    mkdir -p lists/partial parts
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror trixie main" >sources.list
    set -- -q -o Dir::State::lists="$work/lists" -o Dir::Etc::sourcelist="$work/sources.list" \
        -o Dir::Etc::sourceparts="$work/parts" -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= \
        -o Acquire::Languages=none -o APT::Sandbox::User=root
    { apt-get "$@" update && apt-get "$@" download libonnxruntime-dev; } >log 2>&1 ||
        { echo "onnxruntime_headers.sh: libonnxruntime-dev cannot be had: $(grep '^E:' log | head -n 1)" >&2; exit 2; }
fi
dpkg-deb -x libonnxruntime-dev*.deb tree
cp tree/usr/include/onnxruntime/*.h "$dir/"
cp tree/usr/share/doc/libonnxruntime-dev/copyright "$dir/"
