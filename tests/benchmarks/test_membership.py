"""The benchmark of membership does its work at a tiny size, and its bars hold there too."""

from tests.benchmarks import membership


def test_every_figure_of_membership_is_measured(capsys):
    assert membership.main(["--seeds", "1", "--devices", "40", "--deaths", "3"]) == 0
    said = capsys.readouterr().out
    assert "MISSED" not in said
    assert [line.split(":")[0] for line in said.splitlines()] == [
        "idle at loss 0.0",
        "idle at loss 0.1",
        "adaptive, RMR after 20 messages, loss 0.0",
        "adaptive, RMR after 20 messages, loss 0.1",
        "death known to all its neighbours, s, loss 0.1",
        "false deaths in 30 s at loss 0.5, by seed",
        "30 % crash",
        "30 % crash",
        "healed",
    ]
