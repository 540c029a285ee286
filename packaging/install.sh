#!/bin/sh
# install.sh SOURCE EXTRAS TARGET: edgeproof from SOURCE with EXTRAS into a virtual environment at TARGET, the pinned set.
# The Containerfile and prove.sh run this same file, so that what is proved is what an image holds.
set -eu
source=$1 extras=$2 target=$3
python3 -m venv "$target"
"$target/bin/python" -m pip install --quiet --no-cache-dir --disable-pip-version-check \
    --constraint "$source/constraints.txt" "$source[$extras]"
# what an image that only answers never uses
"$target/bin/python" -m pip uninstall --quiet --yes --disable-pip-version-check setuptools pip || true
find "$target" -name __pycache__ -prune -exec rm -rf {} +
