"""The completion of each shell, as the Debian package has it: the shell loads the file by itself, and the Tab key is pressed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from support.checkout import ROOT

TYPED = {
    "bash": """
source "$FILES/sipmesh"
COMP_WORDS=({words}) COMP_CWORD={last}
_sipmesh_completion sipmesh
echo "${COMPREPLY[@]}"
""",
    "fish": "source $FILES/sipmesh.fish; complete -C '{line}'",
    "zsh": """
zmodload zsh/zpty
zpty shell zsh -f -i
zpty -w shell "PS1=; fpath=($FILES \\$fpath); autoload -U compinit; compinit -u -D; bindkey '^I' complete-word; echo rea''dy"
zpty -r -m shell line '*ready*'
zpty -w -n shell $'{line}\\t'
zpty -r -m shell line '*{whole}*' && print -r -- $line
zpty -d shell
""",
}
"""What each shell is given to complete a line. The interactive one of zsh echoes what the Tab key has added."""


@pytest.fixture(name="files", scope="module")
def _files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("completions")
    subprocess.run(
        [ROOT / "tools/release/completions", folder, sys.executable, "-m", "sipmesh"], check=True, timeout=60
    )
    return folder


@pytest.mark.parametrize("shell", TYPED)
@pytest.mark.parametrize(("line", "whole"), [("sipmesh topo", "topology"), ("sipmesh topology sim", "simulate")])
def test_each_shell_completes_commands(shell: str, line: str, whole: str, files: Path) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    words = line.split()
    typed = TYPED[shell]
    for name, value in {"words": line, "last": str(len(words) - 1), "line": line, "whole": whole}.items():
        typed = typed.replace(f"{{{name}}}", value)
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "FILES": str(files)}
    done = subprocess.run(
        [shell, "-c", typed], env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    assert whole in done.stdout, done.stderr
