"""A cluster as a process of its own: `python -m tidegate_dev.kubernetes --kubeconfig FILE`."""

import argparse
import asyncio
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from tidegate_dev.kubernetes.controllers import Timings
from tidegate_dev.kubernetes.far_end import KubernetesFarEnd
from tidegate_dev.listener import PortInUseError


def main(arguments: Sequence[str]) -> int:
    """Return the exit code, once the cluster was told to stop."""
    given = _parser().parse_args(arguments)
    try:
        asyncio.run(_serve(given))
    except PortInUseError as error:
        sys.stderr.write(f"{error}: name another with --port\n")
        return 2
    except OSError as error:
        sys.stderr.write(f"{given.kubeconfig}: cannot be written: {error.strerror}\n")
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tidegate_dev.kubernetes",
        description="A Kubernetes API with its controllers on loopback, kept in memory, until "
        "SIGTERM or SIGINT.",
    )
    parser.add_argument(
        "--kubeconfig",
        type=Path,
        required=True,
        metavar="FILE",
        help="is written, lets its reader in as the administrator, and goes when the cluster does",
    )
    parser.add_argument("--port", type=int, default=0, help="where it listens (default: any)")
    parser.add_argument(
        "--no-kubelets",
        dest="kubelets",
        action="store_false",
        help="an API server and controllers alone: no nodes, and nobody runs pods",
    )
    parser.add_argument(
        "--empty",
        dest="seeded",
        action="store_false",
        help="without the workloads of the dev workspace's company",
    )
    parser.add_argument(
        "--faster",
        type=float,
        default=1.0,
        metavar="TIMES",
        help="so many times as fast as people want to watch it (default: 1)",
    )
    return parser


async def _serve(given: argparse.Namespace) -> None:
    """Serve the cluster until a signal comes."""
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    cluster = KubernetesFarEnd(
        port=given.port,
        seeded=given.seeded,
        kubelets=given.kubelets,
        # Whatever else runs on this machine gets no word.
        allow_anonymous=False,
        timings=Timings().faster(given.faster),
    )
    async with cluster:
        cluster.write_kubeconfig(given.kubeconfig)
        try:
            sys.stdout.write(f"Kubernetes: {cluster.url} (kubeconfig: {given.kubeconfig})\n")
            sys.stdout.flush()
            await stopped.wait()
        finally:
            given.kubeconfig.unlink(missing_ok=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
