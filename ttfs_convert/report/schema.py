"""The report's JSON, schema version 1: other tools read it, so fields are only ever added."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ModelPart(Part):
    name: str
    onnx_sha256: str
    layers: int  # populations with neurons, readout included
    neurons: int
    synapses: int  # existing connections
    windows: int  # until the output can be read, the input's included
    steps: int | None  # N per window, of layers that state none of their own; null in continuous time
    rounding: str
    spiking_mac_share: float  # of the original network's multiply-accumulates


class EnginePart(Part):
    name: str  # exact, clock or event
    threshold: str  # dynamic or fixed
    neurons: int | None  # times images, each held against the closed form; null for exact and for a fixed threshold
    differing: int | None  # on a grid those of another step
    farthest: float | None  # in windows, times min(1, slope): how far the worst of them is from the rounding boundary; or its error


class DataPart(Part):
    name: str
    sha256: str
    samples: int
    treatments: dict[str, str] = {}  # what became of them, by input of the model: "uint8 divided by 255", "float32 as they are"


class AnnPart(Part):
    accuracy: float | None  # fraction; null without labels
    mean_squared_error: float | None = None  # of the judged output against the data's values for it; null without


class SnnPart(Part):
    accuracy: float | None
    mean_squared_error: float | None = None
    latency_steps: int | None
    spikes_per_neuron: float  # spikes that the slope case sends, input and windowed pools out


class DriftPart(Part):
    accuracy_pp: float | None  # SNN - ANN, percentage points
    ci95_pp: tuple[float, float] | None
    agreement: float | None  # share of equal predictions of the judged output; null where no labels follow from it
    max_output_error: float | None  # of the readout's potentials, before any softmax; null where nothing matches them
    output_range: tuple[float, float] | None  # smallest and largest of the original's values there


class OutputPart(Part):
    """One of the model's outputs, behind its tail."""

    name: str
    shape: tuple[int, ...]  # of one sample's values
    judged: bool  # whether accuracy and agreement are this output's
    rule: str  # how labels follow from it, or why none do
    agreement: float | None  # share of equal predictions
    max_error: float | None  # of its values; null for labels and names
    mean_error: float | None
    range: tuple[float, float] | None  # smallest and largest of the original's values
    psnr: float | None  # dB, relative to that range; null where nothing differs


class QuantisedPart(Part):
    accuracy: float | None  # of the original with as many levels as spike times have; null without labels
    agreement: float  # share of its predictions that are the spiking network's
    mismatches: int
    traced_to_ties: int  # mismatches that begin with a neuron on a rounding boundary
    spikes_differing: float  # share of all spike times that stand for another level


class OperationsPart(Part):
    synops: float
    neuronops: float | None  # null in continuous time
    p_proxy: float | None


class EnergyPart(Part):
    paper: OperationsPart
    synaptic: OperationsPart
    event: OperationsPart
    event_if_gated: OperationsPart
    ann_macs: int


class SpikeTimesPart(Part):
    neurons: int  # times images
    premature: int  # spikes before the layer's window
    late: int  # after it
    missing: int  # neurons that did not spike
    at_end: int  # neurons that spike as the window closes: silent ones
    bins_per_window: int
    histogram: tuple[int, ...]  # all other spikes by time since the input's window opened


class LayerPart(Part):
    name: str
    kind: str
    slope: str | None  # null where no neuron ramps
    tensor: str | None  # of the original graph, that the layer is compared with; null where nothing matches
    range: tuple[float, float] | None  # smallest lo and largest hi of its channels; null for wiring and the readout
    window: int
    steps: int | None  # N of its spike times; null in continuous time and for analog input
    neurons: int
    synapses: int
    weight_sum_max_deviation: float | None
    max_error: float | None  # in units of the range; null where the original graph has no matching tensor
    mean_error: float | None
    tolerance: float | None  # what float32 rounding and earlier layers' explain of max_error (continuous time) or one step of mean_error
    saturated: float | None  # share of values; null like the errors
    silent: float | None
    synops: float  # of the count `event`
    neuronops: float | None
    spike_times: SpikeTimesPart | None  # null unless asked for, or of a readout


class TimingPart(Part):
    ann_seconds: float
    snn_seconds: float
    compile_seconds: float


class Report(Part):
    schema_version: int = 1
    model: ModelPart
    engine: EnginePart
    data: DataPart
    ann: AnnPart
    snn: SnnPart
    drift: DriftPart
    outputs: tuple[OutputPart, ...]
    quantised_ann: QuantisedPart | None  # null unless asked for
    energy: EnergyPart
    layers: tuple[LayerPart, ...]
    timing: TimingPart
    notes: tuple[str, ...]  # what a reader of the figures must know
