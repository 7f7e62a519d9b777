"""Proof bundles, read (spec §25). `tests/proof_bundle` writes them."""
