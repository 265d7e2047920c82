"""``python -m stemsplitter``: the command."""

from stemsplitter.cli.main import main

main()
