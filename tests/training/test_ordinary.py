"""The scripts that train the MobileNet and the autoencoder: one command trains, exports and converts, and goes on where it was interrupted."""

import re

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("skimage")  # measures the autoencoder
pytest.importorskip("onnxscript")  # of the exporter

from tests.training.conftest import scripts  # noqa: E402

SCRIPTS = {"train_mobilenet": ("fashion_mnist", "train", "train_mobilenet"), "train_autoencoder": ("mnist", "train_autoencoder")}
ENDS = {
    "train_mobilenet": r"60 test images: ANN (\d+\.\d\d) %; in mode exact and continuous time SNN \1 %, agreement 100\.00 %",
    "train_autoencoder": r"60 test images, continuous time: ANN PSNR (\d+\.\d\d) dB, SSIM (-?\d\.\d{4}); SNN \1 dB, \2",
}


@pytest.fixture(scope="module", params=SCRIPTS)
def script(request):
    folder, *names = SCRIPTS[request.param]
    with scripts(folder, *names) as modules:
        yield getattr(modules, request.param)


def train(script, data, out, *options) -> None:
    script.main(["--data-dir", str(data), "--out", str(out), "--epochs", "3", "--batch", "50", "--threads", "1", *options])


def test_an_interrupted_training_ends_as_one_that_was_not(script, squares, tmp_path, monkeypatch, capsys):
    train(script, squares, tmp_path / "whole.onnx")
    printed = capsys.readouterr().out
    assert re.fullmatch(ENDS[script.__name__], printed.splitlines()[-1]), printed
    save = script.Training.save

    def interrupted(self, checkpoint):
        save(self, checkpoint)
        if self.epoch == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(script.Training, "save", interrupted)
        with pytest.raises(KeyboardInterrupt):
            train(script, squares, tmp_path / "again.onnx")
    assert not (tmp_path / "again.onnx").exists()
    train(script, squares, tmp_path / "again.onnx")
    assert "going on with epoch 3" in capsys.readouterr().out
    assert (tmp_path / "again.onnx").read_bytes() == (tmp_path / "whole.onnx").read_bytes()
    assert not list(tmp_path.glob("*.pt"))


def test_a_checkpoint_of_another_training_is_refused(script, squares, tmp_path, monkeypatch):
    monkeypatch.setattr(script.Training, "run", lambda self, *given: pytest.fail("it trained"))
    options = {"epochs": 3, "batch": 50, "rate": 1e-3, "seed": 1}
    torch.save({"recipe": options}, tmp_path / "model.pt")
    with pytest.raises(SystemExit, match="'seed': 1}; repeat its options, or remove it"):
        train(script, squares, tmp_path / "model.onnx", "--rate", "1e-3")
