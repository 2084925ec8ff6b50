"""Note how long each notebook took when it was last executed here: ``data/results/times.json``, for the status page.

Times differ from run to run, so this is done by hand after both editions were executed, and not by the editions.
"""

import os

from recsae_book import editions
from recsae_core import paths
from recsae_core.files import write_json


def main() -> None:
    """Write the seconds of both editions, rounded, and the number of cores they were measured on."""
    seconds = {
        edition: {name: round(value) for name, value in editions.times(edition).items()}
        for edition in ("planted", "published")
    }
    write_json(paths.root() / "data" / "results" / "times.json", {"cores": os.cpu_count(), **seconds})


if __name__ == "__main__":
    main()
