"""Nodes that combine several computed tensors become unary functions, which neurons compute, and linear operators: one file per family."""
