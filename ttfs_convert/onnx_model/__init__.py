"""The trained network as ONNX: read, simplified, run by ONNX Runtime. Nothing here knows of spikes."""
