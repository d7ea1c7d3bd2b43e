"""Measured claims: each script prints its figures beside a plain script or a peer, run in the same go."""
