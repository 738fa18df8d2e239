"""The documents say what the code does."""

import json
import os
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.printed_figures import FIGURE, differences, output_shown
from ttfs_convert.cli.api_manual import api_reference
from ttfs_convert.cli.command_list import COMMANDS
from ttfs_convert.cli.manual import reference

ROOT = Path(__file__).parent.parent
EXAMPLE = ROOT / "examples" / "fashion_mnist"
README = (ROOT / "README.md").read_text()


def test_cli_reference_is_current():
    assert (ROOT / "CLI.md").read_text() == reference(), "run: python -m ttfs_convert.cli.manual > CLI.md"


def test_api_reference_is_current():
    assert (ROOT / "docs" / "api.md").read_text() == api_reference(), "run: python -m ttfs_convert.cli.manual api > docs/api.md"


def test_every_option_has_a_help_text():
    for command in COMMANDS.values():
        assert command.help
        for parameter in command.params:
            assert parameter.param_type_name == "argument" or parameter.help, parameter.name


@pytest.fixture(scope="module")
def snn(tmp_path_factory):
    """The example network as the README's first command writes it, and what that prints."""
    path = tmp_path_factory.mktemp("readme") / "snn.npz"
    result = CliRunner().invoke(COMMANDS["ttfs-convert"], [str(EXAMPLE / "model.onnx"), "--out", str(path)])
    assert result.exit_code == 0, result.stderr
    return path, result.stdout.replace(str(path), "snn.npz")


@pytest.fixture(scope="module")
def readme(snn):
    """What the README shows behind its first commands, and what they print."""
    path, converted = snn
    result = CliRunner().invoke(COMMANDS["ttfs-run"], [str(path), "--data", str(EXAMPLE / "images.npz"), "--max-drop", "0.5"])
    assert result.exit_code == 0, result.stderr
    shown = output_shown(README, ".venv/bin/ttfs-run snn.npz --data examples/fashion_mnist/images.npz --max-drop 0.5")
    told = [line for line in result.stderr.splitlines() if not line.startswith(("preparing the first batch", "running, samples"))]  # on slow machines
    return shown, converted + result.stdout + "\n".join(told)


def test_readme_shows_what_the_commands_print(readme):
    shown, printed = readme
    assert differences(shown, printed, 2000) == []
    assert "@@" not in README


@pytest.mark.parametrize(
    "right, wrong",
    (
        ("ANN accuracy                   93.20 %", "ANN accuracy                   12.34 %"),
        ("93.10 %", "93.31 %"),
        ("99.70 %", "99.49 %"),
        ("-0.10 pp", "+0.10 pp"),
        ("[-0.41,", "[+0.41,"),
        ("+0.20]", "-0.20]"),
        ("95 % interval", "99 % interval"),
        ("18,816     161,376", "18,817     161,376"),
        ("350 steps", "35 steps"),
        ("26,550,068   23,485,568", "26,550,069   23,485,568"),
        ("5,067,942", "5,167,942"),
        ("1.9e-03", "1.9e-02"),
        ("4.4e-02", "4.9e-02"),
        ("1.2e-07", "1.2e-06"),
        ("51.5 %", "51.7 %"),
        ("28x28x24", "28x28x25"),
        ("node_conv2d_3 ", "node_conv2d_9 "),
        ("average_pool+conv", "conv"),
        ("0 .. 1", "0 .. 2"),
        ("spikes per neuron              1.00", "spikes per neuron              0.99"),
        ("passed", "failed"),
        ("ANN 0.38, SNN 0.18", "ANN 0.38, SNN"),
        (", compilation 0.30", ""),
        ("gate max-drop 0.5 pp: passed\n", ""),
        ("Summary\n", "Summary\nmore\n"),
    ),
)
def test_another_figure_in_the_readme_would_be_noticed(readme, right, wrong):
    shown, printed = readme
    assert right in shown and differences(shown.replace(right, wrong, 1), printed, 2000) != []


def test_any_other_figure_in_the_readme_would_be_noticed(readme):
    """Each in turn ten times what it is, or 7 where it is 0; but times of the machine at hand."""
    shown, printed = readme
    figures = [found for found in FIGURE.finditer(shown) if "seconds" not in shown[shown.rindex("\n", 0, found.start()) : found.start()]]
    assert len(figures) > 150
    for found in figures:
        value = float(found[0].replace(",", ""))
        wrong = f"{10 * value:.1e}" if "e" in found[0] else f"{10 * value or 7:+,.2f}"
        (line,) = differences(shown[: found.start()] + wrong + shown[found.end() :], printed, 2000)
        assert wrong.lstrip("+") in line


@pytest.mark.parametrize(
    "figure, elsewhere",
    (
        ("93.10 %", "93.15 %"),
        ("-0.10 pp", "-0.05 pp"),
        ("[-0.41,", "[-0.43,"),
        ("5,067,942", "5,067,943"),
        ("1.2e-07", "0.9e-07"),
        ("1.9e-03", "1.8e-03"),
        ("SNN 0.18 (0.5 x), compilation 0.30", "SNN 1.68 (1.2 x), compilation 28.05"),
        ("   layer   ", " layer "),
        ("─────", "─"),
    ),
)
def test_what_differs_between_processors_may_differ(readme, figure, elsewhere):
    shown, printed = readme
    assert differences(shown.replace(figure, elsewhere), printed, 2000) == []


@pytest.mark.parametrize(
    "figure, elsewhere, same",
    (("██▅▅▅|", "██▅▅▄|", True), ("██▅▅▅|", "██▅▅▃|", False), ("|▁    |", "|     |", True), ("|▁    |", "|    ▂|", False), ("0.0 %", "0.2 %", False)),
)
def test_histograms_are_compared_bar_by_bar(figure, elsewhere, same):
    shown = "input      0       0.0 %       50.0 %   ██▅▅▅|▁    |     |"
    assert figure in shown and (differences(shown.replace(figure, elsewhere, 1), shown, 2000) == []) == same


def table(text, first, cells):
    """Rows of the first table whose columns are headed `first`: those cells."""
    rows = re.findall(rf"^\| {first} \|.*\n\|-.*\n((?:\|.*\n)+)", text, re.M)[0]
    return [[cell.strip() for cell in row.split("|")[1:-1]][cells] for row in rows.splitlines()]


@pytest.fixture(scope="module")
def resnet(tmp_path_factory):
    path = tmp_path_factory.mktemp("resnet") / "resnet.npz"
    arguments = [str(EXAMPLE / "resnet.onnx"), "--mode", "exact", "--calibrate", "fashion-mnist", "--out", str(path)]
    result = CliRunner().invoke(COMMANDS["ttfs-convert"], arguments)
    assert result.exit_code == 0, result.stderr
    return path


@pytest.mark.skipif("TTFS_DATA" not in os.environ, reason="TTFS_DATA does not say where Fashion-MNIST is")
@pytest.mark.parametrize("heading, rows", (("What the figures mean", 5), ("Any ReLU network", 4)))
def test_readme_tables_are_what_all_test_images_give(snn, request, heading, rows):
    section = README[README.index(f"## {heading}") :]
    (first, *_) = re.findall(r"^\| options \|(?:.*\n)+?\n", section, re.M)
    shown = table(first, "options", slice(None))
    path = snn[0] if heading == "What the figures mean" else request.getfixturevalue("resnet")
    assert len(shown) == rows
    for options, *figures in shown:
        result = CliRunner().invoke(COMMANDS["ttfs-run"], [str(path), "--data", "fashion-mnist", *options.strip("`").split(), "--json", "-"])
        assert result.exit_code == 0, result.stderr
        report = json.loads(result.stdout)
        drift, worst = report["drift"], max(layer["mean_error"] for layer in report["layers"] if layer["slope"])
        printed = [f"{100 * report[which]['accuracy']:.2f} %" for which in ("ann", "snn")]
        printed.append("{:+.2f} pp [{:+.2f}, {:+.2f}]".format(drift["accuracy_pp"], *drift["ci95_pp"]))
        printed += [f"{100 * drift['agreement']:.2f} %", f"{worst:.1e}" if rows == 5 else f"{report['snn']['spikes_per_neuron']:.2f}"]
        assert differences("\n".join(figures), "\n".join(printed), 10_000) == [], options


def test_a_sweep_is_what_the_document_shows(snn):
    """Of kinds without chance, for those with it take minutes."""
    command = "ttfs-run snn.npz --data examples/fashion_mnist/images.npz --sweep all --resume sweep.log --json sweep.json"
    shown = output_shown((ROOT / "docs" / "time.md").read_text(), command)
    result = CliRunner().invoke(COMMANDS["ttfs-run"], [str(snn[0]), "--data", str(EXAMPLE / "images.npz"), "--sweep", "steps"])
    assert result.exit_code == 0, result.stderr
    shown, printed = (re.split(r"\n(?= +steps )", text)[1].split("\n\n")[0] for text in (shown, re.sub(" +\n", "\n", result.stdout)))
    assert len(shown.splitlines()) == 7 and differences(shown, printed, 2000) == []


def test_evidence_is_what_the_trainings_logged():
    evidence, logs = (ROOT / "docs" / "evidence.md").read_text(), ROOT / "examples" / "paper"
    logged = [[cell.strip() for cell in line.split("|")[1:-1]] for line in (logs / "table3.log").read_text().splitlines() if line.startswith("| ")]
    logged = [cells[7:12] for cells in logged if cells[0] != "model"]
    assert table(evidence, "model", slice(2, 7)) == logged and len(logged) == 9
    shown = table(evidence, "network", slice(2, 7))
    for name, row in zip(("resnet20", "vgg11"), shown):
        (*_, last) = (logs / f"{name}.log").read_text().splitlines()
        assert last.startswith("| fashion-mnist | ") and [cell.strip() for cell in last.split("|")[4:-1]] == row
