"""`passerby evaluate` as docs/evaluation.md shows it, on few people and pictures."""

import json
import re
import shlex
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from typer.testing import CliRunner

from app.cli import app
from app.errors import CommandError
from model.zoo import SHIPPED
from tests.app.test_training import run
from tests.model.data.files import make_cuhk, make_icfg, make_rstp

PAGE = (Path(__file__).parents[2] / "docs" / "evaluation.md").read_text()
BLOCKS = "\n".join(re.findall(r"```sh\n(.*?)```", PAGE, re.S)).replace("\\\n", " ")
COMMANDS = [line.split(" #")[0] for line in BLOCKS.splitlines() if line.startswith("passerby ")]


@pytest.fixture(scope="module", autouse=True)
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A working folder with all that the page's commands name, tiny."""
    folder = tmp_path_factory.mktemp("evaluation")
    for name in set(re.findall(r"runs/\w+/best", BLOCKS)):
        shutil.copytree(SHIPPED / "small", folder / name)
    for make in (make_cuhk, make_icfg, make_rstp):
        make(folder / "data" / "datasets")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        # Two people are drawn sooner than a process starts.
        patch.setattr(
            "model.data.synthetic_set.ProcessPoolExecutor",
            lambda workers, mp_context: ThreadPoolExecutor(1),
        )
        yield folder


@pytest.mark.filterwarnings("ignore::model.errors.DatasetWarning")
@pytest.mark.parametrize("command", COMMANDS)
def test_the_pages_commands_run(command: str, place: Path) -> None:
    words = shlex.split(command)[1:]
    few = ["--people", "2", "--seeds", "2", "--out", "reports", "--device", "cpu"]
    shutil.rmtree(place / "reports", ignore_errors=True)
    output = run(*words, *few)
    (kind,) = {path.stem for path in (place / "reports").iterdir()}
    held = json.loads((place / "reports" / f"{kind}.json").read_text())
    measured = len(held["measured"])
    assert measured >= command.count("--dataset") * max(1, command.count("runs/"))
    table = (place / "reports" / f"{kind}.md").read_text()
    assert ("[published]" in table) == ("-pedes" in command or kind == "complexity")
    if "--json" not in words:
        assert table.splitlines()[0].removeprefix("## ") in output


def test_json_of_other_reports_is_the_whole_report_and_bars_are_apart(tmp_path: Path) -> None:
    words = ["evaluate", "small", "--mask-ratios", "0,0.5", "--people", "3", "--json"]
    result = CliRunner().invoke(app, [*words, "--root", str(tmp_path)], catch_exceptions=False)
    assert re.search(r"Drawing .* 3/3.*\nEncoding .* 12/12", result.stderr)
    held = json.loads(result.stdout)
    assert [len(each["runs"]) for each in held["measured"]] == [1, 5]
    assert held["table"][1]["hidden %"] == 50
    assert held["measured"][0]["subject"]["trained_on"] == "synthetic:harbour"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--cross", "--complexity"], "--cross and --complexity: expected one of them at a time"),
        (["--mask-ratios", "0.1;2"], "--mask-ratios '0.1;2': expected shares like"),
        (["--mask-ratios", "1.5"], "expected shares like 0.1,0.2,0.5"),
        (["--dataset", "nowhere"], "dataset 'nowhere': expected one of"),
        (["--relations", "--recipe", "none", "--people", "2"], "recipe 'none': expected a YAML"),
    ],
)
def test_mistakes_are_told_in_one_line(words: list[str], message: str) -> None:
    with pytest.raises(CommandError, match=re.escape(message)) as caught:
        run("evaluate", *words)
    assert "\n" not in str(caught.value)
