"""Speed, memory and accuracy as ratios against a peer or the plain version, measured side by side (docs/performance.md)."""
