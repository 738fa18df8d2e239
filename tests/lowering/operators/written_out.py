"""Functions of one tensor, written out in several operators as exporters and hands do."""

from __future__ import annotations

import math

import numpy as np

from tests.lowering.operators.test_curves import start
from tests.models import Chain

ROOT2 = np.float32(math.sqrt(2))


class Spelling(Chain):
    """A chain whose nodes may read `x0`, the tensor that the function is of."""

    def begin(self):
        self.base = self.at
        return self

    def on(self, tensor, operator, *inputs, **attributes):
        self.at = tensor
        return self.add(operator, *inputs, **attributes).at


def spelled(factor=3.0, opset=17):
    chain = start(factor, opset=opset)
    chain.__class__ = Spelling
    return chain.begin()


def f(value):
    return np.float32(value)


def times(c, first, second):
    return c.on(first, "Mul", second)


def erf_gelu(c):
    """As PyTorch writes it: x (1 + erf(x / sqrt(2))) 0.5."""
    inner = c.on(c.on(c.on(c.base, "Div", ROOT2), "Erf"), "Add", f(1))
    return c.on(times(c, c.base, inner), "Mul", f(0.5))


def erf_gelu_halved_first(c):
    """As TensorFlow does: 0.5 x (1 + erf(x 0.707))."""
    inner = c.on(c.on(c.on(c.base, "Mul", f(1) / ROOT2), "Erf"), "Add", f(1))
    return times(c, c.on(c.base, "Mul", f(0.5)), inner)


def erf_gelu_halved_inside(c):
    inner = c.on(c.on(c.on(c.on(c.base, "Mul", f(1) / ROOT2), "Erf"), "Add", f(1)), "Mul", f(0.5))
    return times(c, inner, c.base)


def tanh_gelu(c, cube):
    inner = c.on(c.on(c.on(cube, "Mul", f(0.044715)), "Add", c.base), "Mul", f(math.sqrt(2 / math.pi)))
    return times(c, c.on(c.base, "Mul", f(0.5)), c.on(c.on(inner, "Tanh"), "Add", f(1)))


def tanh_gelu_of_pow(c):
    return tanh_gelu(c, c.on(c.base, "Pow", f(3)))


def tanh_gelu_of_products(c):
    return tanh_gelu(c, times(c, times(c, c.base, c.base), c.base))


def silu(c):
    return times(c, c.base, c.on(c.base, "Sigmoid"))


def silu_other_order(c):
    return times(c, c.on(c.base, "Sigmoid"), c.base)


def quick_gelu(c):
    return times(c, c.base, c.on(c.on(c.base, "Mul", f(1.702)), "Sigmoid"))


def silu_by_exp(c):
    return c.on(c.base, "Div", c.on(c.on(c.on(c.base, "Neg"), "Exp"), "Add", f(1)))


def hard_swish_by_clip(c):
    clipped = c.on(c.on(c.base, "Add", f(3)), "Clip", f(0), f(6))
    return c.on(times(c, c.base, clipped), "Div", f(6))


def hard_swish_between_lines(c):
    """With factors and shifts that were trained, in front and behind."""
    c.base = c.on(c.on(c.base, "Mul", f(0.7)), "Sub", f(0.2))
    return c.on(c.on(hard_swish_by_clip(c), "Mul", f(1.3)), "Add", f(-0.1))


def gelu_between_lines(c):
    c.base = c.on(c.on(c.on(c.base, "Div", f(1.7)), "Neg"), "Add", f(0.3))
    return c.on(erf_gelu(c), "Mul", f(-2))


def hard_swish_by_hard_sigmoid(c):
    return times(c, c.base, c.on(c.base, "HardSigmoid", alpha=1 / 6, beta=0.5))


def hard_swish_by_relu_and_min(c):
    clipped = c.on(c.on(c.on(c.base, "Add", f(3)), "Relu"), "Min", f(6))
    return times(c, c.on(clipped, "Mul", f(1 / 6)), c.base)


def hard_swish_by_max_and_min(c):
    clipped = c.on(c.on(c.on(c.base, "Add", f(3)), "Max", f(0)), "Min", f(6))
    return times(c, c.base, c.on(clipped, "Div", f(6)))


def mish(c):
    return times(c, c.base, c.on(c.on(c.base, "Softplus"), "Tanh"))


def mish_by_log(c):
    softplus = c.on(c.on(c.on(c.base, "Exp"), "Add", f(1)), "Log")
    return times(c, c.base, c.on(softplus, "Tanh"))


def softplus_by_log(c):
    return c.on(c.on(c.on(c.base, "Exp"), "Add", f(1)), "Log")


def softsign(c):
    return c.on(c.base, "Div", c.on(c.on(c.base, "Abs"), "Add", f(1)))


def square(c):
    return times(c, c.base, c.base)


def sigmoid_by_exp(c):
    bottom = c.on(c.on(c.on(c.base, "Neg"), "Exp"), "Add", f(1))
    return c.on(bottom, "Reciprocal")


def tanh_by_sigmoid(c):
    """2 sigmoid(2 x) - 1, with a product to make it worth it: tanh(x) sigmoid(0 x) 2."""
    return c.on(c.on(c.on(c.on(c.base, "Mul", f(2)), "Sigmoid"), "Mul", f(2)), "Sub", f(1))


def soft_shrink(c):
    """x - 0.5 where x > 0.5, x + 0.5 where x < -0.5, else 0."""
    above, below = c.on(c.base, "Greater", f(0.5)), c.on(c.base, "Less", f(-0.5))
    inner = c.on(below, "Where", c.on(c.base, "Add", f(0.5)), f(0))
    return c.on(above, "Where", c.on(c.base, "Sub", f(0.5)), inner)


def tanh_shrink_product(c):
    return times(c, c.base, c.on(c.base, "Tanh"))


def bell(c):
    """exp(-x^2): a maximum."""
    return c.on(c.on(times(c, c.base, c.base), "Neg"), "Exp")


def log_cosh(c):
    """x + softplus(-2 x) - log(2)."""
    soft = c.on(c.on(c.base, "Mul", f(-2)), "Softplus")
    return c.on(c.on(soft, "Add", c.base), "Sub", f(math.log(2)))


def absolute_sigmoid(c):
    return times(c, c.on(c.base, "Abs"), c.on(c.base, "Sigmoid"))


def root_of_square(c):
    """sqrt(x^2 + 1), a minimum with lines on either side."""
    return c.on(c.on(times(c, c.base, c.base), "Add", f(1)), "Sqrt")


def squared_relu(c):
    positive = c.on(c.base, "Relu")
    return times(c, positive, positive)


def squared_relu_by_pow(c):
    return c.on(c.on(c.base, "Relu"), "Pow", f(2))


def jump(c):
    """x where x > 0.5, else 0."""
    return times(c, c.on(c.on(c.base, "Greater", f(0.5)), "Cast", to=1), c.base)


def elu_by_where(c):
    below = c.on(c.on(c.base, "Exp"), "Sub", f(1))
    above = c.on(c.base, "Greater", f(0))
    return c.on(above, "Where", c.base, below)


def sign_times_log(c):
    """sign(x) log(1 + |x|)."""
    size = c.on(c.on(c.on(c.base, "Abs"), "Add", f(1)), "Log")
    return times(c, c.on(c.base, "Sign"), size)
