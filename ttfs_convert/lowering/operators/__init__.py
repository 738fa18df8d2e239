"""One file per family of ONNX operators; `table.py` lists them all."""
