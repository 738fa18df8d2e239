"""What an inference costs hardware, as parts of the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict

import numpy as np

from ..measurement.cost_table import COSTS, CostTable
from ..measurement.energy import energy
from ..measurement.first_decision import FirstDecisions
from ..measurement.hardware_work import HardwareWork, of_ann, of_layers, of_spikes
from ..measurement.neurobench_terms import neurobench_terms
from ..measurement.operation_counts import Operations
from ..measurement.pipeline_timing import PipelineTiming, pipeline_timing
from ..network.network import Network
from .hardware_schema import CostPart, JoulesPart, LatencyPart, NdnsPart, NeuroBenchPart, TrafficPart

NDNS_NEURON = 10  # what an update of a neuron counts against a synaptic operation


def latency_part(network: Network, decisions: FirstDecisions | None) -> LatencyPart | None:
    """decisions: over all samples, None where they were not measured."""
    timing = pipeline_timing(network)
    if timing is None:
        return None
    return LatencyPart(
        steps=timing.latency,
        interval_steps=timing.interval,
        interval_steps_one_potential=timing.interval_with_one_potential,
        first_decision_mean_steps=decisions and decisions.mean,
        first_decision_earliest_steps=decisions and decisions.earliest,
        first_decision_early_share=decisions and decisions.early_share,
    )


def hardware_fields(
    network: Network,
    counts: Mapping[str, Operations],
    active: Mapping[str, np.ndarray],
    sent: Mapping[str, np.ndarray] | None,
    tables: Sequence[CostTable],
    latency: LatencyPart | None,
) -> dict[str, object]:
    """Fields of `EnergyPart`. counts: synaptic, event, event_if_gated. active, sent: as for `operation_counts.event_of_layer`."""
    sends = active if network.slope == "gated" else sent
    work = {
        "synaptic": of_spikes(network, counts["synaptic"]),
        "event": of_spikes(network, counts["event"], sends),
        "event_if_gated": of_spikes(network, counts["event_if_gated"], active),
        "ann": of_ann(network.ann_macs),
    }
    ndns = _ndns(counts["event"], pipeline_timing(network))
    return {
        "traffic": {name: _traffic(each) for name, each in work.items()},
        "ndns": ndns,
        "neurobench": NeuroBenchPart(**asdict(neurobench_terms(network, active))),
        "costs": tuple(cost_part(table, work, latency, ndns) for table in tables),
    }


def cost_part(table: CostTable, work: Mapping[str, HardwareWork], latency: LatencyPart | None, ndns: NdnsPart | None) -> CostPart:
    """One table's prices of every count in `work`."""
    priced = {kind: cost for kind in COSTS if (cost := getattr(table, kind)) is not None}
    sources = {kind: cost.source for kind, cost in priced.items()} | ({} if table.step is None else {"step": table.step.source})
    second = table.step.seconds if table.step is not None and latency is not None else None
    first = latency and latency.first_decision_mean_steps
    return CostPart(
        table=table.name,
        title=table.title,
        leaves_out=table.leaves_out,
        sources=sources,
        pj={kind: cost.pj for kind, cost in priced.items()},
        joules={name: joules(table, each) for name, each in work.items()},
        step_seconds=second,
        latency_seconds=second and latency and second * latency.steps,
        interval_seconds=second and latency and second * latency.interval_steps,
        first_decision_seconds=None if second is None or first is None else second * first,
        power_proxy_per_second=second and ndns and ndns.power_proxy_per_step / second,
    )


def joules(table: CostTable, work: HardwareWork) -> JoulesPart | None:
    """None where the table cannot price it."""
    found = energy(table, work)
    return None if found is None else JoulesPart(total=found.total, **asdict(found))


def joules_of_layers(
    network: Network, events: Mapping[str, Operations], sends: Mapping[str, np.ndarray] | None, tables: Sequence[CostTable]
) -> dict[str, dict[str, float | None]]:
    """Energy of count `event` by population and cost table; those of all populations sum up to the network's. events: by population. sends: as for
    `hardware_work.of_spikes`."""
    found: dict[str, dict[str, float | None]] = {}
    for name, work in of_layers(network, events, sends).items():
        priced = {table.name: energy(table, work, spiking=True) for table in tables}
        found[name] = {table: each and each.total for table, each in priced.items()}
    return found


def _traffic(work: HardwareWork) -> TrafficPart:
    return TrafficPart(spikes=work.spikes, spike_bytes=work.spike_bytes, weight_bytes=work.weight_bytes, state_bytes=work.state_bytes)


def _ndns(event: Operations, timing: PipelineTiming | None) -> NdnsPart | None:
    if timing is None or event.neuronops is None:
        return None
    operations = event.synops + NDNS_NEURON * event.neuronops
    per_step = operations / timing.interval
    return NdnsPart(operations=operations, power_proxy_per_step=per_step, latency_product=per_step * timing.latency)
