"""Cost tables: those that come with the package, one of a user's own, and what is said of broken ones."""

import pytest

from ttfs_convert.errors import DataError, UsageError
from ttfs_convert.measurement.cost_table import COSTS, built_in_names, cost_table, cost_tables

OWN = 'title = "mine"\nleaves_out = "all else"\n[synop]\npj = 2\nsource = "measured"\n'


def written(folder, text, name="mine.toml"):
    path = folder / name
    path.write_text(text)
    return path


def test_figures_that_the_field_quotes():
    assert built_in_names() == ["45nm", "45nm-sram", "loihi"]
    table = cost_table("45nm")
    assert (table.mac.pj, table.synop.pj, table.spike, table.step) == (4.6, 0.9, None, None)
    assert (cost_table("loihi").synop.pj, cost_table("loihi").mac) == (23.6, None)
    for name in built_in_names():
        priced = [cost for kind in COSTS if (cost := getattr(cost_table(name), kind))]
        assert priced and all(len(cost.source) > 10 for cost in priced)


def test_a_users_own_table_stands_beside_them(tmp_path):
    path = written(tmp_path, OWN)
    assert [table.name for table in cost_tables([path])] == ["45nm", "45nm-sram", "loihi", "mine"]
    assert cost_table(path).synop.pj == 2.0
    assert cost_tables([written(tmp_path, OWN, "loihi.toml")])[2].title == "mine"


@pytest.mark.parametrize(
    "text, message",
    (
        ("title = ", "no TOML"),
        ('title = "t"\n[synop]\npj = 1\nsource = "s"', "leaves_out: field required"),
        (OWN + "[sinop]\npj = 1", r"sinop: a key that means nothing \(perhaps synop is meant\)"),
        (OWN + '[mac]\npj = 1\nsource = ""', "mac.source: string should have at least 1 character"),
        (OWN + "[mac]\npj = 1", "mac.source: field required"),
        (OWN + '[mac]\npj = -1\nsource = "s"', "mac.pj: input should be greater than or equal to 0"),
        (OWN + '[mac]\npj = nan\nsource = "s"', "mac.pj: input should be a finite number"),
        (OWN + '[mac]\npj = "1"\nsource = "s"', "mac.pj: input should be a valid number"),
        (OWN + '[mac]\npj = true\nsource = "s"', "mac.pj: input should be a valid number"),
        (OWN + '[step]\nseconds = 0\nsource = "s"', "step.seconds: input should be greater than 0"),
        ("name = 'x'\n" + OWN, "key 'name'"),
        ('title = "t"\nleaves_out = "l"', r"no figure; expected at least one of \[mac\]"),
        ("mac = 3\n" + OWN, "mac: "),
    ),
)
def test_what_is_wrong_is_named(tmp_path, text, message):
    with pytest.raises(DataError, match=message) as caught:
        cost_table(written(tmp_path, text))
    assert "mine.toml" in str(caught.value)


def test_names_and_files_that_there_are_none_of(tmp_path):
    with pytest.raises(UsageError, match="--costs: no file 'lohi'.*perhaps loihi is meant"):
        cost_table("lohi")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="no TOML"):
        cost_table(tmp_path / "binary.toml")
    with pytest.raises(DataError, match="bytes"):
        cost_table(written(tmp_path, "#" * (1 << 20) + OWN))
