"""The commands. Modules here import nothing heavy at the top: `--help` should answer at once."""

from .numba_environment import set_aside

set_aside()  # before any command's module imports Numba
