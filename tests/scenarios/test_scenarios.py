"""The transcripts are what the nodes do: compared line by line. `python -m tests.scenarios --write` makes them anew;
look at the difference, and keep it only if it can be explained."""

from pathlib import Path

import pytest

from tests.scenarios.stories import STORIES, transcript

HERE = Path(__file__).parent


@pytest.mark.parametrize("name", STORIES)
def test_the_transcript_is_what_happens(name):
    assert transcript(name) == (HERE / f"{name}.txt").read_text().splitlines()


def test_each_transcript_has_its_story_and_can_be_read():
    files = {file.stem: file.read_text().splitlines() for file in HERE.glob("*.txt")}
    assert files.keys() == STORIES.keys()
    assert {name: len(lines) for name, lines in files.items() if len(lines) > 60} == {}
    assert {line for lines in files.values() for line in lines if len(line) > 120} == set()
