"""Where files of this program are kept for a user, from run to run."""

from pathlib import Path

import platformdirs


def user_cache() -> Path:
    """The folder, which may have to be made. Raises OSError for a user without a home folder: beside the user's files it would be in the way."""
    try:
        folder = Path(platformdirs.user_cache_dir("ttfs-convert"))
    except RuntimeError as error:  # of newer versions of platformdirs
        raise OSError("there is no home folder") from error
    if not folder.is_absolute():
        raise OSError("there is no home folder")
    return folder
