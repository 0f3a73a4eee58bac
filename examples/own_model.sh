#!/usr/bin/env bash
# From raw files of your own to a model in a pipeline. The raw files are simulated here, and the network is a toy.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
out="${1:-example-own-model}"
mkdir -p "$out/raw" "$out/held-out"
for seed in 1 2 3; do
    folder="$([ "$seed" = 3 ] && echo held-out || echo raw)"
    smug-recon simulate -o "$out/$folder/scan$seed.h5" --matrix 96 96 --slices 2 --coils 6 --acceleration 1 --seed "$seed"
done
cp "$here/own_model.yaml" "$out/own.yaml"

smug-recon train "$out/own.yaml" -o "$out/run"
smug-recon export "$out/run/checkpoint.pt" -o "$out/own.pt" --slices "$out/held-out" --count 2
sha256="$(smug-recon model "$out/own.pt" | sed -n 's/.*"sha256": "\(.*\)".*/\1/p')"
printf 'model: {file: own.pt, sha256: %s}\n' "$sha256" > "$out/pipeline.yaml"

smug-recon simulate -o "$out/scan.h5" --matrix 96 96 --slices 1 --coils 6 --truth "$out/truth.h5"
smug-recon replay "$out/scan.h5" -o "$out/images" -c "$out/pipeline.yaml"
smug-recon compare "$out/images/images.h5" "$out/truth.h5" --brief
