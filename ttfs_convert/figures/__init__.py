"""The figures of LC-TTFS (Yang et al., arXiv:2310.14978) of a network and of a run.

They need the extra `plot`; no other package imports matplotlib. The page of a report needs the extra `html`.
"""
