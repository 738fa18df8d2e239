"""From a simplified ONNX graph to the layers of a spiking network.

`graph_walk.py`   visits every node once, in order, and decides: lowered, or left to the head or the tail (`graph_regions.py`)
`decomposition/`  nodes that combine several computed tensors, rewritten as functions of one: one small file per family
`operators/`      one small file per family of operators, listed in `operators/table.py`
`values.py`       what a tensor of the graph is in the network: spikes, a potential, a constant, ...
`builder.py`      what operators build with; its docstring lists its parts, `encoders.py` adds the inputs
`ranges/`         which values the spikes of each layer stand for
"""
