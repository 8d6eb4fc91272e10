"""Figures, drawn from data; every function returns a new ``matplotlib.figure.Figure`` and touches
no global state.
"""

from .alignment import plot_alignment
from .canvas import SETTINGS
from .curves import plot_curves
from .effective import plot_effective_spectrum
from .emergence import plot_emergence, plot_phase_diagram
from .exponents import plot_exponent
from .heatmaps import draw_heatmap, plot_alignment_heatmap
from .networks.layers import plot_layer_heatmaps
from .networks.runs import plot_outcomes, plot_risk, plot_side_by_side
from .spectra import plot_eigenvalues_along_training, plot_spectrum
from .style import FORMATS, PALETTE, TIME_LABEL, save_figure
from .sweeps import plot_sweep

__all__ = [
    "FORMATS",
    "PALETTE",
    "SETTINGS",
    "TIME_LABEL",
    "draw_heatmap",
    "plot_alignment",
    "plot_alignment_heatmap",
    "plot_curves",
    "plot_effective_spectrum",
    "plot_eigenvalues_along_training",
    "plot_emergence",
    "plot_exponent",
    "plot_layer_heatmaps",
    "plot_outcomes",
    "plot_phase_diagram",
    "plot_risk",
    "plot_side_by_side",
    "plot_spectrum",
    "plot_sweep",
    "save_figure",
]
