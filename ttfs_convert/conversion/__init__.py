"""From an ONNX file to a spiking network: the whole way, its options and its refusals."""
