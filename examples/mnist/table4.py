"""The paper's Table IV of the autoencoder that is here: pictures rebuilt by the ANN and by its spiking network.

    python examples/mnist/table4.py --data examples/mnist/images.npz --plot pictures

With `--data mnist` on all test images. PSNR and SSIM with data_range 1, means over the pictures; intervals at 95 %.
"""

import argparse
from pathlib import Path

import ttfs_convert
from ttfs_convert.report.schema import Report

MODEL = Path(__file__).with_name("autoencoder.onnx")
PAPER = (("the paper's ANN, full MNIST", "20.90", "0.917", "-", "", ""), ("the paper's SNN", "20.83", "0.916", "581.2K", "-0.07", "-0.001"))


def row(name: str, report: Report, network: str) -> tuple[str, ...]:
    part, drift, count = getattr(report, network), report.drift, report.energy.paper.p_proxy
    drifts = ("", "")
    if network == "snn":
        drifts = f"{drift.psnr_db:+.3f} {_interval(drift.psnr_ci95_db, '.3f')}", f"{drift.ssim:+.4f} {_interval(drift.ssim_ci95, '.4f')}"
    return name, f"{part.psnr:.2f}", f"{part.ssim:.4f}", f"{count:,.0f}" if network == "snn" and count else "-", *drifts


def _interval(ends: tuple[float, float] | None, form: str) -> str:
    return "" if ends is None else "[{}, {}]".format(*(f"{end:+{form}}" for end in ends))


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="mnist", help="mnist, or an .npz with pictures x")
    parser.add_argument("--plot", help="folder for the paper's figures, Fig. 8 among them; needs the extra plot")
    options = parser.parse_args(arguments)
    network = ttfs_convert.convert(MODEL)
    rows = []
    for steps in (50, 32, 16, None):
        evaluation = ttfs_convert.evaluate(
            network, options.data, steps=steps, task="reconstruction", distributions=steps == 50 and bool(options.plot)
        )
        if steps == 50:
            rows.append(row("ANN", evaluation.report, "ann"))
            if options.plot:
                from ttfs_convert.figures.run_figures import write_run

                write_run(evaluation, options.plot)
        rows.append(row("SNN, continuous time" if steps is None else f"SNN, {steps} steps", evaluation.report, "snn"))
    data = evaluation.report.data
    print(f"{data.name}, {data.samples:,} pictures\n")
    print("| autoencoder | PSNR, dB | SSIM | P_proxy, count `paper` | drift of PSNR, dB | drift of SSIM |\n|---|---|---|---|---|---|")
    print("\n".join(f"| {' | '.join(each)} |" for each in (*rows, *PAPER)))


if __name__ == "__main__":
    main()
