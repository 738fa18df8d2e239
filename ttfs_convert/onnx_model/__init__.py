"""The trained network as ONNX: read, simplified, run by ONNX Runtime. Nothing here knows of spikes."""

import os

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # else importing ONNX Runtime 1.32 leaves a device number and a log of events in the user's cache
