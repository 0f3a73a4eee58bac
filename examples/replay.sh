#!/usr/bin/env bash
# A raw file offline. Simulated here; put your own raw.h5 in its place and leave out the truth.
set -euo pipefail
out="${1:-example-replay}"
mkdir -p "$out"
smug-recon simulate -o "$out/raw.h5" --matrix 128 96 --slices 2 --coils 6 --truth "$out/truth.h5"
smug-recon check --raw "$out/raw.h5"
smug-recon replay "$out/raw.h5" -o "$out/images" --set images.conventional=true
smug-recon compare "$out/images/images.h5" "$out/truth.h5" --brief
smug-recon explain "$out/images/images.h5"
