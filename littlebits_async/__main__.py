"""``python -m littlebits_async`` is the ``littlebits`` command."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
