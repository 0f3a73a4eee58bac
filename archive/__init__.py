"""Every raw file of a tree, reconstructed on a Dask cluster: resumable, each scan whole or not at all.

    tree ──▶ what is missing or changed ──▶ tasks ──▶ worker ──▶ warm process (replay, the node) ──▶ results, manifest

``smug-recon archive DIR -o OUT``; ``docs/scale.md`` is its page.
"""
