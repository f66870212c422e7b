"""`python -m launch_action`."""

from __future__ import annotations

from launch_action.cli import main

if __name__ == "__main__":
    main()
