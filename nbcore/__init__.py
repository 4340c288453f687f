"""nbcore: atomic potentials from SO(3)-covariant N-body networks (Kondor, arXiv:1803.01588)."""
