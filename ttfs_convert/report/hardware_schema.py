"""Parts of the report's JSON: what an inference costs hardware."""

from __future__ import annotations

from .part import Part


class TrafficPart(Part):
    """Spikes sent and bytes moved per inference, float32 without reuse: see `measurement.hardware_work`."""

    spikes: float
    spike_bytes: float
    weight_bytes: float
    state_bytes: float | None  # of potentials; of the original's activations and partial sums; null in continuous time


class NdnsPart(Part):
    """Power proxy of the Intel N-DNS challenge (Timcheck et al., 2023) with a new sample every `latency.interval_steps`."""

    operations: float  # SynOPs + 10 NeuronOPs per inference
    power_proxy_per_step: float  # operations / interval
    latency_product: float  # power proxy x latency, operations


class NeuroBenchPart(Part):
    """Terms of NeuroBench, see `measurement.neurobench_terms`, which says where they differ."""

    effective_acs: float
    effective_macs: float
    dense: float
    activation_sparsity: float
    connection_sparsity: float
    footprint: int  # bytes


class JoulesPart(Part):
    """Energy per inference in joules; null where the table prices nothing of the kind."""

    total: float | None
    synapses: float | None  # synaptic operations, multiply-accumulates
    neurons: float | None  # updates
    spikes: float | None
    memory: float | None


class CostPart(Part):
    """Energy, and time, under one cost table."""

    table: str  # its name
    title: str
    leaves_out: str  # what its figures do not hold
    sources: dict[str, str]  # of its figures
    pj: dict[str, float]  # of one operation, spike or byte of each kind, picojoules
    joules: dict[str, JoulesPart | None]  # by count: synaptic, event, event_if_gated, ann; null where the table cannot price it
    step_seconds: float | None  # null where the table does not say; then so are the others
    latency_seconds: float | None
    interval_seconds: float | None
    first_decision_seconds: float | None
    power_proxy_per_second: float | None  # of N-DNS


class LatencyPart(Part):
    """Latency as hardware sees it, in time steps."""

    steps: int  # until the output can be read
    interval_steps: int  # from one sample to the next, when neurons have a potential to charge and one to ramp
    interval_steps_one_potential: int  # when they have one
    first_decision_mean_steps: float | None  # until the winner is certain, see `measurement.first_decision`; null without a winner, and likewise
    first_decision_earliest_steps: int | None  # of the sample that was decided first
    first_decision_early_share: float | None  # of samples decided before the last step
