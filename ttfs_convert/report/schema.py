"""The report's JSON, schema version 1: other tools read it, so fields are only ever added."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

from .frames import flat, frame
from .hardware_schema import CostPart, LatencyPart, NdnsPart, NeuroBenchPart, TrafficPart
from .part import Part
from .rate_schema import RateCodedPart

if TYPE_CHECKING:
    import pandas


class AnalogNodePart(Part):
    """A node of the original."""

    name: str
    operator: str


class AnalogPart(Part):
    """What ONNX Runtime computes in the middle of the network, between two windows."""

    name: str
    nodes: tuple[AnalogNodePart, ...]
    macs: int  # multiply-accumulates per inference, which no count of operations holds
    mac_share: float  # of the original network's


class ModelPart(Part):
    """The spiking network."""

    name: str
    onnx_sha256: str  # of the model file that was converted
    layers: int  # populations with neurons, readout included
    neurons: int
    synapses: int  # existing connections
    windows: int  # until the output can be read, the input's included
    steps: int | None  # N per window, of layers that state none of their own; null in continuous time
    rounding: str  # nearest or ceil
    mode: str | None = None  # of the conversion: strict, exact, ...
    slope: str | None = None  # case of the layers' slopes: fan_in, reference, gated
    weight_bits: int | None = None  # of integers that trained weights are, times a scale per neuron; null: float32
    weight_bytes: int | None = None  # of trained weights, scales of the integers included
    spiking_mac_share: float  # of the original network's multiply-accumulates
    analog: tuple[AnalogPart, ...] = ()  # what does not spike in the middle


class EnginePart(Part):
    """What ran, and how far it was from the closed form."""

    name: str  # exact, clock or event
    threshold: str  # dynamic or fixed
    checked: str | None = None  # the engine that was held against the closed form; null for a fixed threshold, or where none was
    checked_samples: int | None = None  # on so many
    neurons: int | None  # of all these samples
    differing: int | None  # on a grid those of another step
    farthest: float | None  # in windows, times min(1, slope): how far the worst of them is from the rounding boundary; or its error


class SkippedPart(Part):
    """An image of a folder that was left out."""

    file: str
    why: str


class DataPart(Part):
    """The samples."""

    name: str
    sha256: str  # over dtype, shape and bytes of samples and labels; of all, also where not all were run
    samples: int  # that were run
    wanted: int | None = None  # that were to be run, where the run was interrupted; else null
    skipped: tuple[SkippedPart, ...] = ()  # broken images that --skip-broken left out
    treatments: dict[str, str] = Field(default_factory=dict)  # what became of them, by input: "uint8 divided by 255", "float32 as they are"


class MeasuredPart(BaseModel):
    """What holds the figures of a task beside its own fields, each under the measure's name: null where no sample has one."""

    model_config = ConfigDict(extra="allow", frozen=True)


class AnnPart(MeasuredPart):
    """The original under ONNX Runtime. Of other tasks than classification also `psnr` (dB), `ssim`; `rmse`, `mae`, `r2`; `mean_iou`,
    `pixel_accuracy` (fractions)."""

    accuracy: float | None  # fraction; null without labels
    mean_squared_error: float | None = None  # of the judged output against the data's values for it; null without


class SnnPart(MeasuredPart):
    """The spiking network on the data; of other tasks also what `AnnPart` has."""

    accuracy: float | None  # fraction; null without labels
    mean_squared_error: float | None = None  # as the original's
    latency_steps: int | None  # until the output can be read; null in continuous time
    spikes_per_neuron: float  # spikes that the slope case sends, input and windowed pools out


class DriftPart(MeasuredPart):
    """The difference between both. Of other tasks also SNN - ANN in each measure with its 95 % interval (paired bootstrap), such as `psnr_db` and
    `psnr_ci95_db`, `ssim` and `ssim_ci95`, `mean_iou_pp` and `mean_iou_ci95_pp`."""

    accuracy_pp: float | None  # SNN - ANN, percentage points
    ci95_pp: tuple[float, float] | None  # 95 % interval of the paired difference (Newcombe), percentage points
    agreement: float | None  # share of equal predictions of the judged output; null where no labels follow from it
    agreement_ci95: tuple[float, float] | None = None  # 95 % interval (Wilson); of labels per position as if a sample were one, which is wider
    max_output_error: float | None  # of the readout's potentials, before any softmax; null where nothing matches them
    output_range: tuple[float, float] | None  # smallest and largest of the original's values there


class MeasurePart(Part):
    """One measure of the task."""

    name: str  # of its figures in `ann` and `snn`
    unit: str  # of these: fraction, dB, or "" for none or the outputs' own
    drift_unit: str  # of differences: pp, dB, ...
    higher_is_better: bool
    samples: int  # that the figures are of
    left_out: int  # samples without a finite figure under one of both networks
    lost: int = 0  # of these: samples that are worse, or have none, under the spiking network alone
    title: str = ""  # in tables


class TaskPart(Part):
    """What both networks are judged by."""

    name: str  # classification, reconstruction, regression, segmentation
    why: str  # whether it was asked for, or what it was derived from
    about: str | None  # what outputs are held against, and data_range; null where the data holds nothing
    measures: tuple[MeasurePart, ...]  # the first is what gates and budgets are about unless they name another


class OutputPart(Part):
    """One of the model's outputs, behind its tail."""

    name: str
    shape: tuple[int, ...]  # of one sample's values
    judged: bool  # whether accuracy and agreement are this output's
    rule: str  # how labels follow from it, or why none do
    agreement: float | None  # share of equal predictions
    max_error: float | None  # of its values; null for labels and names
    mean_error: float | None  # as max_error
    range: tuple[float, float] | None  # smallest and largest of the original's values
    psnr: float | None  # dB, relative to that range; null where nothing differs


class QuantisedPart(Part):
    """The original with its activations rounded to the spiking network's levels."""

    accuracy: float | None  # of the original with as many levels as spike times have; null without labels
    agreement: float  # share of its predictions that are the spiking network's
    mismatches: int  # predictions that differ
    traced_to_ties: int  # mismatches that begin with a neuron on a rounding boundary
    spikes_differing: float  # share of all spike times that stand for another level


class OperationsPart(Part):
    """Operations per inference: synaptic ones, updates of neurons, and their sum P_proxy (LC-TTFS, Eq. 22)."""

    synops: float  # synaptic operations
    neuronops: float | None  # updates of neurons; null in continuous time
    p_proxy: float | None  # the sum of both


class EnergyPart(Part):
    """The counts of operations, see `measurement.operation_counts`; multiply-accumulates of the original."""

    paper: OperationsPart  # as LC-TTFS counts: weights once, however many positions share them
    synaptic: OperationsPart  # every existing connection once; all neurons at all steps
    event: OperationsPart  # what the network transmits on this data
    event_if_gated: OperationsPart  # the same run if silent neurons sent nothing
    event_p_proxy_ci95: tuple[float, float] | None = None  # 95 %, over samples; where silent neurons send nothing a bound, see `event_spread`
    ann_macs: int  # multiply-accumulates of the original, padded taps included
    analog_macs: int = 0  # of these, those of analog parts, which the counts leave out
    traffic: dict[str, TrafficPart] | None = None  # bytes moved, by count: synaptic, event, event_if_gated, ann; null of older reports
    ndns: NdnsPart | None = None  # power proxy of the count `event`; null in continuous time
    neurobench: NeuroBenchPart | None = None  # null of older reports
    costs: tuple[CostPart, ...] = ()  # energy under each cost table


class SpikeTimesPart(Part):
    """When a layer spikes."""

    neurons: int  # times images
    premature: int  # spikes before the layer's window
    late: int  # after it
    missing: int  # neurons that did not spike
    at_end: int  # neurons that spike as the window closes: silent ones
    bins_per_window: int  # of the histogram
    histogram: tuple[int, ...]  # all other spikes by time since the input's window opened


class LayerPart(Part):
    """One population: what it is, and how far it is from its tensor in the original."""

    name: str
    kind: str  # of the synapses that feed a neuron, "average_pool+conv", else of the population
    slope: str | None  # null where no neuron ramps
    tensor: str | None  # of the original graph, that the layer is compared with; null where nothing matches
    range: tuple[float, float] | None  # smallest lo and largest hi of its channels; null for wiring and the readout
    window: int  # in which its spikes travel; the input's is 0
    steps: int | None  # N of its spike times; null in continuous time and for analog input
    neurons: int
    synapses: int  # existing connections
    weight_sum_max_deviation: float | None  # largest |weight sum - 1|; null where no neuron integrates
    max_error: float | None  # in units of the range; null where the original graph has no matching tensor
    mean_error: float | None  # as max_error
    mean_error_ci95: tuple[float, float] | None = None  # 95 % interval over samples (Student's t); null of a readout, and below two samples
    tolerance: float | None  # what float32 rounding and earlier layers' explain of max_error (continuous time) or one step of mean_error
    saturated: float | None  # share of values; null like the errors
    silent: float | None  # share of neurons with no a > 0; null of a readout
    synops: float  # of the count `event`
    neuronops: float | None  # as synops; null in continuous time
    joules: dict[str, float | None] = Field(default_factory=dict)  # of these operations and the spikes it sends, by cost table; null: not priced
    spike_times: SpikeTimesPart | None  # null unless asked for, or of a readout


class TimingPart(Part):
    """Wall-clock seconds of both engines over all samples, and of compilation before."""

    ann_seconds: float  # ONNX Runtime's, without inner tensors: by the median of a sample's, where not all were timed
    ann_timed_samples: int | None = None  # that were; null of older reports: all
    snn_seconds: float  # ours, head and tail included
    compile_seconds: float  # the first sample's, before


class SamplesPart(Part):
    """What every sample came to: base64 of bits, the first sample's the highest of the first byte (`numpy.packbits`), for paired comparisons with
    another report."""

    ann_right: str  # 1 where the original predicts the true label
    snn_right: str  # where the spiking network does


class GatePart(Part):
    """One gate, and what became of it."""

    gate: str  # its option without dashes: max-drop, ...
    measure: str | None  # that it is about, where a gate has a choice
    limit: float
    unit: str  # of limit, value and interval; "" where there is none
    value: float | None  # what was found; null where the report lacks it
    ci95: tuple[float, float] | None  # its 95 % interval, whose whole decides; a point where the value is exact
    outcome: str  # passed, failed or inconclusive
    detail: str  # why; what this sample can decide


class ToolPart(Part):
    """What made the report."""

    version: str  # of ttfs-convert
    options: dict[str, str | int | float | bool | list[str] | None] = Field(default_factory=dict)  # of ttfs-run, without dashes; else empty
    command: str | None = None  # the command line, quoted for a shell; null from Python
    versions: dict[str, str] = Field(default_factory=dict)  # of Python and of the packages that compute


class Report(Part):
    """What a conversion cost, measured on one data set: the whole network, each output, and layer by layer. `model_dump(mode="json")` is what
    `ttfs-run --json` writes."""

    schema_version: int = 1
    compared_samples: int | None = None  # whose layers were held against the original; null of older reports: all
    partial: bool = False  # whether the run was interrupted: all figures are of the first `data.samples` samples, and no gate passes
    model: ModelPart
    engine: EnginePart
    data: DataPart
    ann: AnnPart
    snn: SnnPart
    drift: DriftPart
    task: TaskPart | None = None  # null where the data holds nothing to judge by and no task was named
    outputs: tuple[OutputPart, ...]
    quantised_ann: QuantisedPart | None  # null unless asked for
    energy: EnergyPart
    latency: LatencyPart | None = None  # null in continuous time
    rate_coded: RateCodedPart | None = None  # null unless asked for
    layers: tuple[LayerPart, ...]
    timing: TimingPart
    notes: tuple[str, ...]  # what a reader of the figures must know
    samples: SamplesPart | None = None  # null without labels
    gates: tuple[GatePart, ...] = ()  # in the order in which they were given
    tool: ToolPart | None = None  # null of reports of older versions

    def to_frame(self) -> pandas.DataFrame:
        """One row per layer, columns as the fields of `LayerPart`; pairs as `range.low` and `range.high`, spike times as
        `spike_times.late` and so on, without the histogram. Raises UsageError where pandas is not installed."""
        return frame([flat(layer.model_dump()) for layer in self.layers])

    def to_row(self) -> pandas.DataFrame:
        """One row for the whole network, to be joined with those of other runs: columns such as `model.name`, `snn.accuracy`, `drift.ci95_pp.low`,
        `energy.event.p_proxy`. Raises UsageError where pandas is not installed."""
        return frame([flat(self.model_dump(exclude={"layers", "outputs", "notes", "samples", "gates", "tool", "rate_coded"}))])
