"""Labels from outputs: labels, scores, and lone outputs behind whatever bounds them."""

import numpy as np
import onnx
import pytest
from onnx import helper

from ttfs_convert.errors import DataError, ModelError
from ttfs_convert.prediction import binary_threshold, check_labels, predicted_labels


def tail(operator):
    entry, result = (helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [None, 1]) for name in "xy")
    return helper.make_model(helper.make_graph([helper.make_node(operator, ["x"], ["y"])], "tail", [entry], [result]))


def test_scores_and_labels():
    assert predicted_labels(np.array([[0.1, 0.7], [0.9, 0.2]], np.float32), "y").tolist() == [1, 0]
    assert predicted_labels(np.array([[[0.1]], [[0.9]]], np.float32).reshape(2, 1, 1, 1), "y", 0.5).tolist() == [0, 1]
    assert predicted_labels(np.array([[3], [1]]), "y").tolist() == [3, 1]
    with pytest.raises(ModelError, match="one score per class"):
        predicted_labels(np.zeros((2, 3, 4, 4), np.float32), "y")


@pytest.mark.parametrize("operator,outputs", [(None, [-0.1, 0.0, 0.1]), ("Relu", [0.0, 0.0, 0.1]), ("Sigmoid", [0.4, 0.5, 0.6]),
                                              ("Clip", [0.0, 0.4, 0.6])])
def test_a_lone_output_splits_two_classes(operator, outputs):
    threshold = binary_threshold(None if operator is None else tail(operator))
    expected = [0, 1, 1] if operator in (None, "Sigmoid") else [0, 0, 1]
    assert predicted_labels(np.array(outputs, np.float32)[:, None], "y", threshold).tolist() == expected


def test_labels_out_of_range():
    scores = np.zeros((2, 5), np.float32)
    check_labels(np.array([0, 4]), scores, "data")
    check_labels(np.array([0, 9]), np.array([[1], [2]]), "data")  # an ArgMax output does not say how many classes there are
    with pytest.raises(DataError, match="label 5; expected labels from 0 to 4"):
        check_labels(np.array([0, 5]), scores, "data")
    with pytest.raises(DataError, match="labels from 0 to 1"):
        check_labels(np.array([0, 2]), np.zeros((2, 1), np.float32), "data")
