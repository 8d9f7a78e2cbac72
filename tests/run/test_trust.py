"""Tests of trusted modules: who can name them, which of their classes are allowed where."""

from __future__ import annotations

import asyncio
import os
import pickle
import sys
import threading
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest
from own_modules import write_module

from audiogan.errors import UserError
from audiogan.run import trust
from audiogan.run.targets import check_targets, external_modules, resolve_target
from audiogan.run.trust import (
    check_required_modules,
    parse_module_names,
    trust_hint,
    trust_modules,
    trusted_modules,
    with_current_trust,
)

PARTS = """
import os, subprocess, functools, enum
from os import system
from subprocess import Popen
from pathlib import Path
from torch import nn
from audiogan.core import EMA, Callback, Checkpoints, Game
from audiogan.inputs import Input
from audiogan.losses import NonSaturating
from audiogan.representations import Identity

class Net(nn.Module):
    class Inner(nn.Module): pass
    shell = os.system
class Plain: pass
class MyGame(Game): pass
class MyInput(Input): pass
class MyIdentity(Identity): pass
class MyCallback(Callback): pass
class Deletes(Checkpoints): pass
class Error(Exception): pass
def open_mine(): pass
def other(): pass
instance = Net()
shell = functools.partial(os.system)
number = 5
def make():
    class Hidden(nn.Module): pass
    return Hidden
Hidden = make()
Renamed = Net
"""


def test_no_module_of_python_can_be_trusted() -> None:
    for name in sys.stdlib_module_names:
        for spelled in (name, name.upper()):
            with pytest.raises(UserError, match="--trust"):
                parse_module_names([spelled])


@pytest.mark.parametrize(
    "name",
    [
        *("torch", "Torch", "TORCH", "torchaudio", "torchvision", "numpy", "NumPy", "audiogan", "AudioGAN", "hydra"),
        *("omegaconf", "torch.nn", "audiogan.networks", "os.path", "builtins", "__main__", "test", "pip"),
        *("../my_networks", "./my_networks", "/my_networks", "a/b", "a\\b", "..", ".", ".my", "my.", "a..b"),
        *("my_networks.py", "my.networks", "my-networks", "5nets", "my networks", "", " ", ",", "a,,b", "a,os"),
        *("ne\nts", "nets\0", "\x1b[2J", "ｏｓ", "nets:Maker", "a__b", "__init__", "n" * 200, "~", "$HOME"),
        *(5, None, ["a"], b"nets"),
    ],
)
def test_names_that_cannot_be_trusted_are_one_line(name: object, here: Path) -> None:
    before = list(sys.path)
    for given in ([name], name) if isinstance(name, str) else ([name],):
        with pytest.raises(UserError) as caught, trust_modules(given):  # type: ignore[arg-type]
            raise AssertionError("trusted")
        said = str(caught.value)
        assert said.startswith("--trust ") and "\n" not in said and "\x1b" not in said and len(said) < 300
    assert trusted_modules() == () and sys.path == before


def test_the_line_says_what_to_write() -> None:
    for name, words in {
        "my_networks.py": "write the name of the module, my_networks",
        "my_gan.networks": "the whole package, my_gan",
        "os": "belongs to Python",
        "folder/nets": "without folders",
    }.items():
        with pytest.raises(UserError, match=words):
            parse_module_names(name)


def test_lists_and_commas() -> None:
    assert parse_module_names("a, b,a") == ["a", "b"] == parse_module_names(["a,b", "b"])
    with trust_modules("a"), trust_modules(["b", "a"]):
        assert trusted_modules() == ("a", "b")
    assert trusted_modules() == ()


def test_the_folder_is_appended_only_while_something_is_trusted(here: Path) -> None:
    before = list(sys.path)
    with trust_modules([]):
        assert sys.path == before
    with trust_modules("nets"), trust_modules("others"):
        assert sys.path == [*before, os.getcwd()]
    assert sys.path == before
    with pytest.raises(KeyError), trust_modules("nets"):
        raise KeyError
    assert sys.path == before and trusted_modules() == ()


def test_a_module_of_the_folder_hides_no_installed_one(here: Path) -> None:
    (here / "soundfile.py").write_text("raise SystemError('mine')")
    import soundfile

    with trust_modules("nets"):
        sys.modules.pop("soundfile")
        import soundfile as again
    sys.modules["soundfile"] = soundfile
    assert Path(str(again.__file__)).parent != here


def test_a_new_thread_has_no_trust_unless_it_is_carried(here: Path) -> None:
    found: list[Any] = []

    def look() -> None:
        found.append((trusted_modules(), os.getcwd() in sys.path))

    def in_thread(work: object) -> None:
        thread = threading.Thread(target=work)  # type: ignore[arg-type]
        thread.start()
        thread.join()

    with trust_modules("nets"):
        in_thread(look)
        later = with_current_trust(look)
        in_thread(later)
    in_thread(later)  # The function still trusts the module after the block has ended.
    assert [names for names, _ in found] == [(), ("nets",), ("nets",)]
    assert found[-1][1] and str(here) not in sys.path


def test_trust_is_carried_into_a_process(here: Path) -> None:
    with trust_modules("nets"):
        work = with_current_trust(trusted_modules)
    assert pickle.loads(pickle.dumps(work))() == ("nets",)
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        assert pool.submit(trusted_modules).result() == ()
        assert pool.submit(work).result() == ("nets",)


ALLOWED = {
    "game._target_": "MyGame",
    "game.generator._target_": "Net",
    "game.generators.a._target_": "Net",
    "game.distances.l1._target_": "Plain",
    "game.loss._target_": "Plain",
    "inputs.mine._target_": "MyInput",
    "game.inputs.mine._target_": "MyInput",
    "inputs.mine.representation._target_": "MyIdentity",
    "representation._target_": "MyIdentity",
    "data._target_": "open_mine",
    "data.columns.mine._target_": "Plain",
    "callbacks.mine._target_": "MyCallback",
}


@pytest.fixture
def parts(here: Path) -> str:
    return write_module(here, PARTS)


@pytest.mark.parametrize("key", ALLOWED)
def test_each_place_takes_its_kind_from_a_trusted_module(key: str, parts: str) -> None:
    with pytest.raises(UserError, match=rf"if you trust {parts}.py, add --trust {parts}"):
        resolve_target(f"{parts}.{ALLOWED[key]}", key)
    assert parts not in sys.modules  # The check comes before the import.
    with trust_modules(parts):
        assert resolve_target(f"{parts}.{ALLOWED[key]}", key).__name__ == ALLOWED[key]
    with pytest.raises(UserError, match="is not trusted"):
        resolve_target(f"{parts}.{ALLOWED[key]}", key)


NAMES = (
    *("Net", "Plain", "MyGame", "MyInput", "MyIdentity", "MyCallback", "Deletes", "Error", "open_mine", "other"),
    *("system", "Popen", "Path", "os.system", "subprocess.Popen", "Net.Inner", "Net.shell", "Net.forward", "instance"),
    *("shell", "number", "Hidden", "Renamed.Inner", "NonSaturating", "Checkpoints", "EMA", "Identity", "nn.Linear"),
    *("nonsense", "os", "functools.partial", "__builtins__", "__loader__.load_module", "make"),
)
PARTS_OF_A_GAME = {"Net", "Plain", "MyInput", "MyIdentity"}
TAKEN: dict[str, set[str]] = {
    "game._target_": {"MyGame"},
    "game.generator._target_": PARTS_OF_A_GAME,
    "representation._target_": {"MyIdentity"},
    "inputs.mine._target_": {"MyInput"},
    "data._target_": {"open_mine"},
    "data.columns.mine._target_": PARTS_OF_A_GAME,
    "callbacks.mine._target_": {"MyCallback"},
    "engine._target_": set(),
    "players.mine._target_": set(),
    "players.mine.optimizer._target_": set(),
    "facts.modality._target_": set(),
    "facts.inputs.mine.modality._target_": set(),
    "checkpoints._target_": set(),
    "trainer.x._target_": set(),
    "hydra.launcher._target_": set(),
    "inputs.mine.more._target_": set(),
}


@pytest.mark.parametrize("key", TAKEN)
def test_each_place_refuses_everything_else_of_a_trusted_module(key: str, parts: str) -> None:
    taken = set()
    with trust_modules(parts):
        for name in NAMES:
            try:
                resolve_target(f"{parts}.{name}", key)
                taken.add(name)
            except UserError as error:
                assert "\n" not in str(error) and str(error).startswith(key)
    assert taken == TAKEN[key]


def test_nothing_is_imported_for_a_place_without_a_class(parts: str) -> None:
    with trust_modules(parts), pytest.raises(UserError, match="this key takes no class"):
        resolve_target(f"{parts}.Net", "trainer.x._target_")
    assert parts not in sys.modules


def test_a_class_from_elsewhere_is_named(parts: str) -> None:
    with trust_modules(parts), pytest.raises(UserError, match=r"not defined in own_module_.* but in subprocess"):
        resolve_target(f"{parts}.Popen", "game.critic._target_")


def test_a_module_that_answers_to_every_name_is_not_asked(here: Path) -> None:
    name = write_module(
        here,
        "import os\nasked = []\n"
        "def __getattr__(name):\n    asked.append(name)\n    return os.system if name == 'x' else type(name, (), {})\n",
    )
    with trust_modules(name):
        for attribute in ("x", "Net", "open_x"):
            for key in ("game.critic._target_", "data._target_"):
                with pytest.raises(UserError, match="does not exist"):
                    resolve_target(f"{name}.{attribute}", key)
    assert not [a for a in sys.modules[name].asked if not a.startswith("__")]  # type: ignore[attr-defined]


def test_submodules_of_a_trusted_package(here: Path) -> None:
    package = here / "own_package"
    package.mkdir()
    (package / "__init__.py").write_text("from own_package.nets import Net\nfrom os import system\nimport subprocess\n")
    (package / "nets.py").write_text("from torch import nn\nimport os\nclass Net(nn.Module): pass\n")
    with trust_modules("own_package"):
        for name in ("own_package.Net", "own_package.nets.Net"):
            assert resolve_target(name, "game.critic._target_").__module__ == "own_package.nets"
        for name in ("own_package.system", "own_package.subprocess.Popen", "own_package.nets.os.system"):
            with pytest.raises(UserError):
                resolve_target(name, "game.critic._target_")
    with pytest.raises(UserError, match="own_package"), trust_modules("own_package.nets"):
        raise AssertionError("trusted")


def test_one_trusted_module_does_not_open_another(here: Path) -> None:
    flag = here / "flag"
    good = write_module(here, "class Net: pass")
    bad = write_module(here, f"open({str(flag)!r}, 'w')\nclass Net: pass")
    with trust_modules(good), pytest.raises(UserError, match=f"add --trust {bad}"):
        resolve_target(f"{bad}.Net", "game.critic._target_")
    assert not flag.exists()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x = (", "SyntaxError"),
        ("import nonsense_of_mine", "No module named 'nonsense_of_mine'"),
        ("\n\n1 / 0", "ZeroDivisionError: division by zero .line 3 of "),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("raise ValueError('\\x1b[2J\\n')", "ValueError"),
    ],
)
def test_a_module_that_fails_is_one_line(text: str, words: str, here: Path) -> None:
    name = write_module(here, text)
    with trust_modules(name), pytest.raises(UserError, match=words) as caught:
        resolve_target(f"{name}.Net", "game.critic._target_")
    said = str(caught.value)
    assert f"{name} cannot be imported" in said and "\n" not in said and "\x1b" not in said


def test_a_module_that_is_not_there_is_named(here: Path) -> None:
    with trust_modules("nowhere_of_mine"), pytest.raises(UserError, match=f"no such module in {here}"):
        resolve_target("nowhere_of_mine.Net", "game.critic._target_")


def test_find_asks_for_trust_first(parts: str) -> None:
    with pytest.raises(UserError, match="not trusted"):
        trust.find_object(f"{parts}.Net")
    assert parts not in sys.modules


def test_a_hint_only_for_files_that_are_near(here: Path) -> None:
    (here / "conf").mkdir()
    near, beside = write_module(here, ""), write_module(here / "conf", "")
    (here / "os.py").touch()
    assert trust_hint(near) == f"if you trust {near}.py, add --trust {near}"
    assert trust_hint(beside) is None and "start the command in " in str(trust_hint(beside, here / "conf"))
    assert (
        trust_hint("os", here) is None
        and trust_hint("audiogan", here) is None
        and trust_hint("nowhere_of_mine", here) is None
    )


def test_what_a_model_needs() -> None:
    check_required_modules([])
    with trust_modules("nets"):
        check_required_modules(["nets"])
        with pytest.raises(UserError, match=r"needs the modules a, b; if you trust their code, add trust=\[.a., .b.\]"):
            check_required_modules(["a", "nets", "b"])
    with (
        trust_modules([], from_command_line=True),
        pytest.raises(UserError, match=r"the module nets;.* add --trust nets$"),
    ):
        check_required_modules(["nets"])
    for wrong in (["os"], ["OS"], ["torch"], ["audiogan"], ["a.b"], ["../a"], [5], [None], "nets", {"a": 1}, 5, None):
        with pytest.raises(UserError, match=r"^requires: ") as caught:
            check_required_modules(wrong)
        assert "--trust" not in str(caught.value) and "trust=" not in str(caught.value)
    with pytest.raises(UserError, match="at most"):
        check_required_modules([f"m{i}" for i in range(1000)])


def test_modules_that_a_configuration_names() -> None:
    game = {"_target_": "audiogan.games.Adversarial", "a": [{"_target_": "nets.A"}, {"_target_": "nets.B"}]}
    plain: dict[str, Any] = {"game": game}
    plain |= {"x": {"_target_": "torch.nn.Linear"}, "y": {"_target_": "os.system"}, "z": {"_target_": 5}}
    assert external_modules(plain) == ["nets"]
    with pytest.raises(UserError):
        check_targets(plain)


def test_work_of_the_studio_has_the_trust_of_its_command(here: Path) -> None:
    from audiogan.studio.limits import Slots

    async def serve() -> tuple[str, ...]:
        return await Slots(max_running=1, max_waiting=1, wait_seconds=5.0).run(trusted_modules)

    with trust_modules("nets"):
        assert asyncio.run(serve()) == ("nets",)
