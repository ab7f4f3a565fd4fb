"""The far ends that are processes, once for each worker that needs them."""

from collections.abc import Iterator

import pytest

from tests.far_ends import clamd, s3, sqs


@pytest.fixture(scope="session")
def rclone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[s3.FarEnd]:
    with s3.rclone(tmp_path_factory.mktemp("rclone")) as far_end:
        yield far_end


@pytest.fixture(scope="session")
def ministack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[s3.FarEnd]:
    with s3.ministack(tmp_path_factory.mktemp("ministack")) as far_end:
        yield far_end


@pytest.fixture(scope="session")
def queues(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sqs.Stack]:
    with sqs.ministack(tmp_path_factory.mktemp("queues")) as stack:
        yield stack


@pytest.fixture(scope="session")
def clamd_daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[clamd.Daemon]:
    """A clamd as it is set up by default, apart from what it knows."""
    with clamd.clamd(tmp_path_factory.mktemp("clamd")) as daemon:
        yield daemon
