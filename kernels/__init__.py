"""Arithmetic of the neuron on plain arrays, compiled by Numba. Images are (n, height, width, channels), spike times any real dtype.

Nothing here knows of layers, networks or files. Every kernel treats each image on its own and in a fixed order of additions, so its
result does not depend on the batch or on the number of threads.
"""
