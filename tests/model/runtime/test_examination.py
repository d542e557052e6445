"""What is wrong with a model's run, whatever runs it."""

import pytest

from model.runtime import Wish, examination
from model.runtime.examination import Trial, examine, find_problems


def try_on(engine: str, text_cosine: float, picture_cosine: float) -> Trial:
    return Trial(
        model="small",
        fingerprint="f",
        image_size=(32, 16),
        dim=16,
        engine=engine,
        reasons=(),
        load_s=1.0,
        text_cosine=text_cosine,
        picture_cosine=picture_cosine,
        query_ms=1.0,
        pictures_per_s=1.0,
    )


@pytest.mark.parametrize(
    ("engine", "texts", "pictures", "wrong"),
    [
        ("CUDA graphs in float16 on Tesla T4", 0.9995, 0.9995, []),
        ("CUDA graphs in float16 on Tesla T4", 0.9995, 0.99, ["pictures"]),
        ("CUDA graphs in bfloat16 on NVIDIA H100", 0.9995, 0.9995, []),
        ("openvino bfloat16, pictures int8, on cpu", 0.9995, 0.98, []),
        ("openvino bfloat16, pictures int8, on cpu", 0.98, 0.98, ["descriptions"]),
        ("openvino float32, pictures int8, on cpu", 0.9995, 0.9, ["descriptions", "pictures"]),
        ("openvino float32 on cpu", float("nan"), 1.0, ["descriptions"]),
        ("torch float32 on mps", 1.0, 1.0, []),
    ],
)
def test_vectors_are_held_against_what_their_precision_allows(
    engine: str, texts: float, pictures: float, wrong: list[str]
) -> None:
    problems = find_problems(try_on(engine, texts, pictures))
    assert [problem.split()[2] for problem in problems] == wrong


def test_error_of_a_library_is_a_problem_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def run_out(*_: object) -> None:
        raise RuntimeError("CUDA out of memory")

    monkeypatch.setattr(examination, "load_runtime", run_out)
    found = examine("small", "cpu", 1, Wish())
    assert found.trial is None
    assert found.problems == ("the model does not run: RuntimeError: CUDA out of memory",)
