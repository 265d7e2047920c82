"""Start a cluster on SLURM and keep it running: ``python slurm.py --workers 40 --queue compute --time 04:00:00``.

Needs ``pip install 'stemsplitter[cluster]' dask-jobqueue`` in an environment that all nodes have. The scheduler runs
here, on the login node; the batch jobs are its workers, one song at a time each. In another terminal:

    stemsplitter split SONGS -o STEMS --threads 1 --cluster scheduler.json --manifest stems.jsonl --skip-existing

With ``--dry-run`` the script of a job is printed, and nothing is submitted.
"""

import argparse
import time

from dask_jobqueue import SLURMCluster

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--workers", type=int, default=10, help="largest number of workers")
parser.add_argument("--per-job", type=int, default=4, help="workers, and cores, of a batch job")
parser.add_argument("--queue", help="partition")
parser.add_argument("--account", help="account or project that is charged")
parser.add_argument(
    "--time", default="04:00:00", help="time limit of a job; songs in progress run again in another"
)
parser.add_argument("--interface", help="network interface of the nodes, such as ib0")
parser.add_argument("--scheduler-file", default="scheduler.json")
parser.add_argument("--gpus", type=int, default=0, help="GPUs of a batch job, one for each worker")
parser.add_argument("--dry-run", action="store_true")
options = parser.parse_args()

workers = options.gpus or options.per_job
cluster = SLURMCluster(
    cores=workers,
    processes=workers,
    memory=f"{2 * workers} GB",
    queue=options.queue,
    account=options.account,
    walltime=options.time,
    interface=options.interface,
    worker_extra_args=["--resources", "GPU=1"] if options.gpus else [],
    job_extra_directives=[f"--gres=gpu:{options.gpus}"] if options.gpus else [],
    scheduler_options={"dashboard_address": ":0"},
)
with cluster:
    if options.dry_run:
        print(cluster.job_script())
    else:
        # jobs are added and ended with the number of songs that wait
        cluster.adapt(minimum=0, maximum=options.workers)
        cluster.get_client().write_scheduler_file(options.scheduler_file)
        print(
            f"The scheduler {cluster.scheduler_address} is in {options.scheduler_file}. End it with Ctrl-C."
        )
        while True:
            time.sleep(60)
