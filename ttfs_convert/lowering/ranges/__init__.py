"""Which values the spikes of a layer stand for, x = lo + (hi - lo) a, and how they are found.

`of_layers.py`    the range of each layer: known from its activation and what it reads, or to be measured
`of_inputs.py`    the range of each of the model's inputs: as the user says, that of pixels, 0 to 1, or to be measured
`rescaling.py`    inputs whose pixels the model itself rescales from 0 to 255
`observed_on_data.py`  runs the original on calibration data, and watches every tensor whose range is to be measured
`calibration.py`  the rules by which lo and hi follow from the values seen: maximum, percentile, least squared error
"""
