"""``stemsplitter worker``: a process that separates songs and delivers webhooks."""

from stemsplitter.cli.service import DataDir


def worker(data_dir: DataDir = None) -> None:
    """Take splits and webhooks from the queue; start as many as there is memory for. See docs/settings.md."""
    from stemsplitter.serving import worker as process
    from stemsplitter.settings import load_settings

    process.run(load_settings(data_dir=data_dir))
