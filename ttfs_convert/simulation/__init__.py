"""Engines that run a network; each turns a batch of inputs into spike times of every layer and the readout's potentials."""
