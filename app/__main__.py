"""`python -m app` is `worker-orcd`."""

import sys

from app.main import main

sys.exit(main())
