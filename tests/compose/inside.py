"""The first process of a container, in namespaces of its own: lays out its files, becomes the user
that it is for, and passes signals on. Run as `python inside.py SPEC`, where SPEC is a JSON file.

Only the standard library is needed, and /bin/mount.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import FrameType

_SYSTEM = ("usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32")
_ETC = (
    "alternatives",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "localtime",
    "mime.types",
    "ssl",
)


def mount(*words: str | Path) -> None:
    subprocess.run(["mount", *map(str, words)], check=True)


def bind(source: Path, target: Path, *, read_only: bool) -> None:
    """`source` at `target`, made where it is missing."""
    if source.is_dir():
        target.mkdir(parents=True, exist_ok=True)
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.touch()
    mount("--bind", source, target)
    if read_only:
        mount("-o", "remount,bind,ro", target)


def lay_out(root: Path, spec: dict) -> None:
    """The container's files at `root`: the system's programs, what the image brings, volumes,
    secrets, and nothing else of this machine."""
    mount("--make-rprivate", "/")
    mount("-t", "tmpfs", "-o", "mode=755", "container", root)
    if spec["image_root"]:
        lay_over(root, spec["image_root"])
    else:
        bring_system(root)
    for name, text in spec["etc"].items():
        (root / "etc" / name).write_text(text)
    for name in ("proc", "dev", "tmp"):
        (root / name).mkdir(exist_ok=True)
    (root / "tmp").chmod(0o1777)
    mount("-t", "proc", "proc", root / "proc")
    bind(Path("/sys"), root / "sys", read_only=True)
    mount("-t", "tmpfs", "-o", "mode=755", "dev", root / "dev")
    for name in ("null", "zero", "full", "random", "urandom", "tty"):
        bind(Path("/dev", name), root / "dev" / name, read_only=False)
    for name, target in (("fd", "/proc/self/fd"), ("stdin", "/proc/self/fd/0")):
        (root / "dev" / name).symlink_to(target)
    for folder in ("dev/shm", *(path.lstrip("/") for path in spec["tmpfs"])):
        (root / folder).mkdir(parents=True, exist_ok=True)
        mount("-t", "tmpfs", "-o", "mode=1777", "scratch", root / folder)
    for source, target, read_only in spec["mounts"]:
        bind(Path(source), root / target.lstrip("/"), read_only=read_only)
    if spec["read_only"]:
        mount("-o", "remount,ro", root)


def lay_over(root: Path, image_root: str) -> None:
    """A layer of this container's own over an image's files."""
    upper, work = root / "upper", root / "work"
    upper.mkdir()
    work.mkdir()
    layers = f"lowerdir={image_root},upperdir={upper},workdir={work}"
    mount("-t", "overlay", "-o", layers, "container", root)


def bring_system(root: Path) -> None:
    """This machine's programs and libraries, in place of an image's."""
    for name in _SYSTEM:
        here = Path("/", name)
        if here.is_symlink():
            (root / name).symlink_to(here.readlink())
        elif here.is_dir():
            bind(here, root / name, read_only=True)
    for name in _ETC:
        if Path("/etc", name).exists():
            bind(Path("/etc", name), root / "etc" / name, read_only=True)


def as_user(spec: dict) -> list[str]:
    """What runs a command as the container's user, without the rights that it gives up."""
    uid, gid = spec["user"].split(":")
    words = ["setpriv", f"--reuid={uid}", f"--regid={gid}", "--clear-groups"]
    if "ALL" in spec["cap_drop"]:
        kept = "".join(f",+{name.lower()}" for name in spec["cap_add"])
        words += ["--inh-caps=-all", f"--bounding-set=-all{kept}"]
    if "no-new-privileges:true" in spec["security_opt"]:
        words.append("--no-new-privs")
    return words


def main(spec: dict) -> int:
    root = Path(spec["root"])
    lay_out(root, spec)
    sys.stdin.readline()  # until the network is there
    # What it reads is outside of the container's files.
    with Path(spec["input"] or os.devnull).open("rb") as given:
        os.chroot(root)
        os.chdir(spec["folder"])
        command = [*as_user(spec), *spec["command"]]
        child = subprocess.Popen(command, env=spec["environment"], stdin=given)

    def pass_on(number: int, _: FrameType | None) -> None:
        child.send_signal(number)

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, pass_on)
    code = child.wait()
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main(json.loads(Path(sys.argv[1]).read_text())))
