"""``python -m recsae_core COMMAND`` is the command line of ``recsae_book``; ``--help`` lists the commands."""

import sys

from recsae_book.commands import main

if __name__ == "__main__":
    sys.exit(main())
