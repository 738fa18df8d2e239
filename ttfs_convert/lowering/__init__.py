"""From a simplified ONNX graph to the spiking network: one small file per family of operators, listed in `table.py`."""
