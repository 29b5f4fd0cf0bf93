"""Lets ``python -m genegraph`` do what the command ``genegraph`` does."""

from genegraph.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
