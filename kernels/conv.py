"""Membrane potentials of a convolutional layer, from events: a silent input costs one comparison a tap."""

import numba as nb

from ._jit import jit


@jit(parallel=True, fastmath={"contract"})
def conv(activation, weights, strides, dilations, pads, groups, potential):
    """potential[n, y, x, o] += sum over taps and channels of activation[n, y s - p + ky d, x s - p + kx d, c] weights[ky, kx, c, o].

    activation: (n, height, width, channels) float32. weights: (kernel height, kernel width, channels / groups, outputs) float32.
    strides, dilations, pads: (y, x) integers; pads are those before the first row and column, and padded taps add nothing.
    groups: outputs and channels are split into that many equal runs. potential: (n, out height, out width, outputs) float32, added
    to in place.
    """
    height, width = activation.shape[1], activation.shape[2]
    kernel_height, kernel_width, group_in, outputs = weights.shape
    group_out = outputs // groups
    out_height, out_width = potential.shape[1], potential.shape[2]
    for row in nb.prange(activation.shape[0] * out_height):
        n, y = row // out_height, row % out_height
        for ky in range(kernel_height):
            in_y = y * strides[0] - pads[0] + ky * dilations[0]
            if in_y < 0 or in_y >= height:
                continue
            for kx in range(kernel_width):
                for x in range(out_width):
                    in_x = x * strides[1] - pads[1] + kx * dilations[1]
                    if in_x < 0 or in_x >= width:
                        continue
                    for c in range(groups * group_in):
                        a = activation[n, in_y, in_x, c]
                        if a != 0:
                            group = c // group_in
                            for o in range(group * group_out, (group + 1) * group_out):
                                potential[n, y, x, o] += a * weights[ky, kx, c - group * group_in, o]
