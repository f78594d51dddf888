"""When an id that expires needs a younger one."""

import pytest

from fileferry.plan.renewals import renew_at

HOUR, DAY = 3_600, 86_400


@pytest.mark.parametrize(
    ("life", "left"),
    [
        pytest.param(HOUR, 900, id="an hour: 15 minutes before"),
        pytest.param(2 * HOUR, 1_800, id="two hours: a quarter"),
        pytest.param(DAY, 6 * HOUR, id="a day: a quarter"),
        pytest.param(4 * DAY, DAY, id="four days: a day, which is a quarter"),
        pytest.param(30 * DAY, DAY, id="a month: no more than a day"),
        pytest.param(600, 600, id="less than the margin: at once"),
    ],
)
def test_an_id_is_renewed_with_time_to_spare(life: int, left: int) -> None:
    assert renew_at(created_at=1_000, expires_at=1_000 + life) == 1_000 + life - left


def test_an_id_that_never_expires_is_never_renewed() -> None:
    assert renew_at(created_at=1_000, expires_at=None) is None
