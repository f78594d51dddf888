"""Every test of the contract is made of both remotes."""

from collections.abc import AsyncIterator, Iterator

import pytest

from contract.bench import Bench, InProcess, OverHttp
from emulator_process import EmulatorProcess
from fileferry.daemon.workers import ThreadWorkers
from fileferry.emulator import create_app


@pytest.fixture(scope="module")
def emulator() -> Iterator[EmulatorProcess]:
    with EmulatorProcess() as running:
        yield running


@pytest.fixture(params=["in process", "over HTTP"])
async def bench(request: pytest.FixtureRequest, emulator: EmulatorProcess) -> AsyncIterator[Bench]:
    workers = ThreadWorkers(2)
    bench: InProcess | OverHttp
    if request.param == "in process":
        app = create_app()
        bench = InProcess(app, workers)
        yield bench
        await bench.remote.aclose()
        app.state.emulator.close()
    else:
        bench = OverHttp(emulator, workers)
        yield bench
        await bench.remote.aclose()
    workers.close()
