"""The figures of LC-TTFS (Yang et al., arXiv:2310.14978) from a network and from a run. Needs the extra `plot`; matplotlib is imported here alone."""
