"""Separate all songs of a folder and write a report: python batch_folder.py SONGS STEMS [OPTIONS OF SPLIT].

Runs `stemsplitter split --json`, which prints one JSON object per line, and writes STEMS/report.csv. A song that fails
does not stop the others; the exit code is 1 if any failed. Add --skip-existing to continue an earlier run.
"""

import csv
import json
import subprocess
import sys
from pathlib import Path


def main() -> int:
    songs, stems, *options = sys.argv[1:]
    command = ["stemsplitter", "split", songs, "--output", stems, "--format", "flac", "--json", *options]
    Path(stems).mkdir(parents=True, exist_ok=True)
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as split,
        (Path(stems) / "report.csv").open("w", newline="", encoding="utf-8") as file,
    ):
        assert split.stdout is not None
        report = csv.writer(file)
        report.writerow(["song", "result", "seconds", "speed", "folder", "message"])
        for line in split.stdout:
            event = json.loads(line)
            if event["event"] == "separated":
                warnings = " ".join(event["warnings"])
                row = [event["song"], "ok", event["seconds"], event["speed"], event["folder"], warnings]
            elif event["event"] == "failed":
                row = [event["song"], "failed", "", "", "", event["error"]]
            elif event["event"] == "skipped":
                row = [event["song"], "skipped", "", "", event["folder"], ""]
            else:
                continue
            report.writerow(row)
            print(*row[:2], flush=True)
    return split.returncode


if __name__ == "__main__":
    sys.exit(main())
