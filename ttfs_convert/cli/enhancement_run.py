"""`ttfs-run --task enhancement`: recordings of speech instead of samples of one size."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .console import note, note_subset, say, show
from .gate_options import say_outcomes
from .output_files import write_json
from .progress_lines import patient_progress
from .run_options import option_of

if TYPE_CHECKING:
    from ..network.network import Network
    from ..studies.enhancement import Enhancement
    from .run_options import Options

SHOWN = 3  # recordings that figures and pages show

APART = (
    *("engine", "threshold", "verify", "histogram", "quantised", "spike_file", "sweeps", "log"),
    *("output", "decision_threshold", "input_steps", "data_dir", "costs", "rate_steps"),
)
DEFAULTS = {"engine": "exact", "threshold": "dynamic", "histogram": False, "quantised": False, "sweeps": (), "costs": ()}


def run_enhancement(network: Network, options: Options, compiling: str) -> int:
    """Enhance the recordings, print the table, write what is asked for, and return the gates' exit code. Raises UsageError for options that have no
    meaning here."""
    from ..data.speech_pairs import speech_pairs
    from ..errors import UsageError
    from ..gates.of_scores import check_drops, judged_drops
    from ..studies.enhancement import enhance
    from ..tables.enhancement_table import enhancement_tables
    from ..tasks.speech_measures import MEASURES, NAME

    given = [name for name in APART if getattr(options, name) != DEFAULTS.get(name)]
    given += [name for name in ("junit_file", "markdown_file") if getattr(options.gating, name) is not None]
    if given:
        raise UsageError(f"--{option_of(given[0])}", "given with --task enhancement", remedy="leave it out")
    gates = options.gating.gates()
    check_drops(gates, [measure.name for measure in MEASURES], NAME)
    data = speech_pairs(options.data, options.limit)
    with patient_progress("enhancing, recordings", compiling) as tell:
        shown = SHOWN if options.folder is not None or options.html_file is not None else 0
        found = enhance(
            network, data, onnx_file=options.onnx_file, threads=options.threads, enhanced=options.enhanced, sounds_of=shown, progress=tell
        )
    _draw(found, network, options)
    outcomes = judged_drops(found.scores, gates)
    if options.json_file != "-":
        show(*enhancement_tables(found))
    if options.json_file:
        write_json({**found.as_json(), "gates": [gate.model_dump(mode="json") for gate in outcomes]}, options.json_file)
    for text in found.notes:
        note(text)
    note_subset(data)
    return say_outcomes(outcomes) if outcomes else 0


def _draw(found: Enhancement, network: Network, options: Options) -> None:
    """Spectrograms into --plot, the page into --html."""
    if options.folder is not None:
        from ..figures.figure_folder import write_figures
        from ..figures.page import about_network
        from ..figures.spectrograms import spectrograms

        write_figures(spectrograms(found.sounds, about_network(network)), options.folder)
        say(f"Wrote the figures to {options.folder}.")
    if options.html_file is not None:
        from ..figures.enhancement_page import enhancement_page
        from ..files.atomic import write_whole

        page = enhancement_page(found).encode()
        write_whole(options.html_file, lambda file: file.write(page))
        say(f"Wrote {options.html_file}.")
