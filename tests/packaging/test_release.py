"""What refuses to make a release, and how a user verifies one, with the commands of SECURITY.md."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from support.checkout import ROOT

VERSION = "1.2.3"
"""The version that the repository here has, and its newest release."""
FILE = f"sipmesh-{VERSION}-py3-none-any.whl"
AUTHOR = {f"GIT_{who}_{what}": "release@example.test" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}


def run(folder: Path, *command: str | Path, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run a command in *folder*, as a user whose settings name no key."""
    environment = (
        {name: value for name, value in os.environ.items() if not name.startswith("RELEASE")} | AUTHOR | settings
    )
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=60)


def key(folder: Path, name: str) -> str:
    """Make a key that signs, in a file of this name; gives its public part."""
    run(folder, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", name)
    return (folder / f"{name}.pub").read_text()


def named(folder: Path, name: str) -> None:
    """Name a key as `make release-key` does."""
    (folder / "tools/release").mkdir(parents=True, exist_ok=True)
    (folder / "packaging").mkdir(exist_ok=True)
    shutil.copy(ROOT / "tools/release/key", folder / "tools/release")
    assert run(folder, "tools/release/key", name).returncode == 0


def tag_with(folder: Path, name: str) -> None:
    """Tag a commit of its own as `tools/release/release` does."""
    (command,) = re.findall(r"^ +(git .* tag -s .*)$", (ROOT / "tools/release/release").read_text(), re.MULTILINE)
    run(folder, "git", "commit", "-q", "--allow-empty", "-m", "sources")
    run(folder, "git", "tag", "-d", f"v{VERSION}")
    settings = {"RELEASE_KEY": str(folder / name), "version": VERSION, "tag": f"v{VERSION}", "commit": "HEAD"}
    assert run(folder, "sh", "-c", command, **settings).returncode == 0


def sign(folder: Path, name: str) -> None:
    """Sign the checksums as `tools/release/release` does."""
    (command,) = re.findall(
        r"^ +(ssh-keygen -q -Y sign .*)$", (ROOT / "tools/release/release").read_text(), re.MULTILINE
    )
    (folder / "build/dist/SHA256SUMS.sig").unlink(missing_ok=True)
    assert run(folder, "sh", "-c", command, RELEASE_KEY=name, made="build/dist").returncode == 0


@pytest.fixture(name="release")
def _release(tmp_path: Path) -> Path:
    """Give a signed release of one file, with the public key of the maintainers beside it."""
    files = tmp_path / "build/dist"
    files.mkdir(parents=True)
    key(tmp_path, "ours")
    named(tmp_path, "ours")
    (files / FILE).write_text("the wheel")
    (files / "SHA256SUMS").write_text(run(files, "sha256sum", FILE).stdout)
    sign(tmp_path, "ours")
    run(tmp_path, "git", "init", "-q")
    tag_with(tmp_path, "ours")
    return tmp_path


def verified(release: Path) -> bool:
    """Type what SECURITY.md says."""
    (commands,) = re.findall(
        r"^```sh\n(ssh-keygen .*?)^```", (ROOT / "SECURITY.md").read_text(), re.MULTILINE | re.DOTALL
    )
    return run(release, "sh", "-ec", re.sub(r"\bv\d+\.\d+\.\d+$", f"v{VERSION}", commands)).returncode == 0


def test_release_of_the_maintainers_is_verified(release: Path) -> None:
    assert verified(release)
    assert run(release, ROOT / "tools/release/verify", "build/dist", "packaging/allowed_signers").returncode == 0


def test_file_that_was_changed_is_refused(release: Path) -> None:
    (release / "build/dist" / FILE).write_text("another wheel")
    assert not verified(release)


def test_file_and_checksum_that_were_changed_are_refused(release: Path) -> None:
    files = release / "build/dist"
    (files / FILE).write_text("another wheel")
    (files / "SHA256SUMS").write_text(run(files, "sha256sum", FILE).stdout)
    assert not verified(release)


def test_release_that_another_key_has_signed_is_refused(release: Path) -> None:
    key(release, "theirs")
    sign(release, "theirs")
    assert not verified(release)


def test_tag_that_another_key_has_signed_is_refused(release: Path) -> None:
    key(release, "theirs")
    tag_with(release, "theirs")
    assert not verified(release)


def test_key_is_named_once_and_without_a_person(release: Path) -> None:
    named(release, "ours")
    (line,) = (release / "packaging/allowed_signers").read_text().splitlines()
    assert line == f'release namespaces="sipmesh-release,git" {(release / "ours.pub").read_text().strip()}'


def renamed(folder: Path, signer: str) -> bool:
    """Replace the key by another one, in a commit that *signer* signs; tell whether a user who knows the first one takes it."""
    shutil.copy(folder / "packaging/allowed_signers", folder / "sipmesh-signers")
    (folder / "packaging/allowed_signers").unlink()
    key(folder, "next")
    named(folder, "next")
    run(folder, "git", "add", "packaging")
    page = (ROOT / "docs/howto/make-a-release.md").read_text()
    (commit,) = re.findall(r"^(git .* commit -S .*)$", page, re.MULTILINE)
    assert run(folder, "sh", "-c", commit.replace("$HOME/.ssh/sipmesh-release", signer)).returncode == 0
    (verify,) = re.findall(r"^(git .* verify-commit .*)$", (ROOT / "SECURITY.md").read_text(), re.MULTILINE)
    return run(folder, "sh", "-c", verify, HOME=str(folder)).returncode == 0


def test_next_key_that_the_key_before_it_names_is_taken(release: Path) -> None:
    assert renamed(release, "ours")


def test_next_key_that_names_itself_is_refused(release: Path) -> None:
    assert not renamed(release, "next")


def test_security_page_has_the_fingerprint_of_the_key_of_releases() -> None:
    """The line of a key is that of the file of its public part, after its name and namespaces."""
    (line,) = (ROOT / "packaging/allowed_signers").read_text().splitlines()
    told = subprocess.run(
        ("ssh-keygen", "-l", "-f", "-"),
        input=line.split(" ", 2)[2],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert f"`{told.stdout.split()[1]}`" in (ROOT / "SECURITY.md").read_text()


@pytest.fixture(name="clone")
def _clone(tmp_path: Path) -> Path:
    """Give a repository that has what `tools/release/release` looks at before it builds; it builds nothing here."""
    (tmp_path / "tools/release").mkdir(parents=True)
    in_clone(tmp_path, VERSION)
    shutil.copy(ROOT / "tools/release/release", tmp_path / "tools/release")
    shutil.copy(ROOT / "tools/release/verify", tmp_path / "tools/release")
    for step in ("build", "try"):
        text = f'#!/bin/sh\nmkdir -p "$1"; echo {step} >>"$1/steps"; (cd "$1" && sha256sum steps >SHA256SUMS)\n'
        (tmp_path / f"tools/release/{step}").write_text(text)
        (tmp_path / f"tools/release/{step}").chmod(0o755)
    run(tmp_path, "git", "init", "-q")
    run(tmp_path, "git", "add", "-A")
    run(tmp_path, "git", "commit", "-q", "-m", "first")
    return tmp_path


def in_clone(clone: Path, version: str) -> None:
    """Give the repository this version, after the changes of the newest release."""
    (clone / "pyproject.toml").write_text(f'version = "{version}"\n')
    (clone / "CHANGELOG.md").write_text(f"# Changelog\n\n## {VERSION}\n")


def made(clone: Path) -> Path:
    """The folder of the release: beside the repository, which has no file that is not committed."""
    return clone.with_name(f"{clone.name}-made")


def released(clone: Path, **settings: str) -> tuple[int, str]:
    """Make a release of *clone*; gives the exit code and the error."""
    done = run(clone, "tools/release/release", made(clone), "python3", **settings)
    return done.returncode, done.stderr.strip()


def tag(clone: Path) -> None:
    run(clone, "git", "-c", "tag.gpgSign=false", "tag", "-a", "-m", VERSION, f"v{VERSION}")


def test_unsigned_release_is_made_of_a_tag_only(clone: Path) -> None:
    code, said = released(clone, UNSIGNED="1")
    assert (code, "has no tag v" in said) == (1, True)


def test_release_is_made_of_what_is_committed_only(clone: Path) -> None:
    tag(clone)
    (clone / "new.py").touch()
    assert released(clone, UNSIGNED="1") == (1, "there are changes that are not committed")


def test_release_without_a_key_is_refused_with_the_command_that_makes_one(clone: Path) -> None:
    tag(clone)
    told = "name the key that signs, RELEASE_KEY=FILE; to make one: make release-key RELEASE_KEY=FILE"
    assert released(clone) == (1, told)
    code, said = released(clone, RELEASE_KEY="missing")
    assert (code, said) == (1, "missing.pub does not exist; make the key: make release-key RELEASE_KEY=missing")


def test_release_with_a_key_that_is_not_named_is_refused_before_it_is_built(clone: Path, keys: Path) -> None:
    """The control: it is built once the key is named."""
    code, said = released(clone, RELEASE_KEY=str(keys / "ours"))
    assert (code, "does not name" in said) == (1, True)
    assert not made(clone).exists()
    assert released(clone, **named_key(keys)) == (0, "")
    assert (made(clone) / "steps").read_text().split() == ["build", "try"]


def named_key(keys: Path) -> dict[str, str]:
    """Name the key of *keys*, and the file that names it for users."""
    return {"RELEASE_KEY": str(keys / "ours"), "ALLOWED_SIGNERS": str(keys / "packaging/allowed_signers")}


@pytest.fixture(name="keys")
def _keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder with the key of the maintainers, which is named."""
    keys: Path = tmp_path_factory.mktemp("keys")
    key(keys, "ours")
    named(keys, "ours")
    return keys


def is_tagged(clone: Path, keys: Path) -> bool:
    """Tell whether the commit has the tag of this version, which the key has signed."""
    signers = f"gpg.ssh.allowedSignersFile={keys / 'packaging/allowed_signers'}"
    return run(clone, "git", "-c", signers, "tag", "-v", f"v{VERSION}").returncode == 0


def test_commit_is_tagged_once_all_was_tried(clone: Path, keys: Path) -> None:
    assert released(clone, **named_key(keys)) == (0, "")
    assert is_tagged(clone, keys)
    shutil.rmtree(made(clone))
    assert released(clone, **named_key(keys)) == (0, "")  # and again, of the tag


@pytest.mark.parametrize("step", ["build", "try"])
def test_commit_of_which_a_step_fails_is_not_tagged(clone: Path, keys: Path, step: str) -> None:
    (clone / f"tools/release/{step}").write_text("#!/bin/sh\nexit 1\n")
    run(clone, "git", "commit", "-q", "-a", "-m", "a step that fails")
    code, _ = released(clone, **named_key(keys))
    assert code == 1
    assert not is_tagged(clone, keys)


MEANWHILE = {
    "git commit -q --allow-empty -m meanwhile": "this clone went to another commit while the release was built",
    "touch meanwhile": "there are changes that are not committed",
}


@pytest.mark.parametrize("command", MEANWHILE)
def test_clone_that_changes_while_the_release_is_built_is_not_released(clone: Path, keys: Path, command: str) -> None:
    build = clone / "tools/release/build"
    build.write_text(f"{build.read_text()}{command}\n")
    run(clone, "git", "commit", "-q", "-a", "-m", "a maintainer who goes on working")
    assert released(clone, **named_key(keys)) == (1, MEANWHILE[command])
    assert not (made(clone) / "SHA256SUMS.sig").exists()


def test_commit_after_the_tag_of_its_version_is_refused(clone: Path, keys: Path) -> None:
    tag_with(clone, str(keys / "ours"))
    run(clone, "git", "commit", "-q", "--allow-empty", "-m", "after it")
    code, said = released(clone, **named_key(keys))
    assert (code, "is the tag of another commit" in said) == (1, True)
    assert not made(clone).exists()


def test_version_between_two_releases_is_signed_by_no_key(clone: Path, keys: Path) -> None:
    """The control: each test with a key, whose version has a section in CHANGELOG.md."""
    in_clone(clone, "1.3.0.dev0")
    run(clone, "git", "commit", "-q", "-a", "-m", "after the release")
    code, said = released(clone, **named_key(keys))
    assert (code, "CHANGELOG.md has no section for 1.3.0.dev0" in said) == (1, True)
    assert not made(clone).exists()


@pytest.mark.parametrize("signer", ["nobody", "theirs"])
def test_release_of_a_tag_that_the_key_has_not_signed_is_refused_before_it_is_built(
    clone: Path, keys: Path, signer: str
) -> None:
    if signer == "nobody":
        tag(clone)
    else:
        key(keys, signer)
        tag_with(clone, str(keys / signer))
    code, said = released(clone, **named_key(keys))
    assert (code, "has signed the tag v" in said) == (1, True)
    assert not made(clone).exists()


def test_release_is_built_and_tried(clone: Path) -> None:
    tag(clone)
    assert released(clone, UNSIGNED="1") == (0, "")
    assert (made(clone) / "steps").read_text().split() == ["build", "try"]


def test_trial_that_runs_in_the_background_ends_what_stays(tmp_path: Path) -> None:
    """The shell of such a job ignores SIGINT, and hands that on: then Ctrl-C would end no command, and the trial would wait."""
    typed = "from first_hour import stay; stays = stay('echo ready; exec sleep 59', 'ready'); stays.end(); print(stays.code)"
    tools = str(ROOT / "tools/release")
    background = f"trap '' HUP INT QUIT; exec '{sys.executable}' -c \"{typed}\""
    assert run(tmp_path, "sh", "-c", background, PYTHONPATH=tools, PYTHONDONTWRITEBYTECODE="1").stdout == "-2\n"


def test_trial_goes_on_once_each_server_of_a_line_serves(tmp_path: Path) -> None:
    """The next command reaches the last of them, which serves long after the first one on a busy machine."""
    line = "echo serving; sleep 0.2; echo both; echo serving; exec sleep 59 # mgmt.example.com fe1.example.com"
    typed = (
        f"from first_hour import stay; stays = stay('{line}', 'serving'); print('both' in stays.printed); stays.end()"
    )
    settings = {"PYTHONPATH": str(ROOT / "tools/release"), "PYTHONDONTWRITEBYTECODE": "1"}
    assert run(tmp_path, sys.executable, "-c", typed, **settings).stdout == "True\n"


BUILD = f"""#!/bin/sh
made=$1; shift; mkdir -p "$made"
mkdir "$made/blobs"; echo files >"$made/blobs/root"
tar -cz --sort=name --mtime=@0 --owner=0 --group=0 -C "$made/blobs" -f "$made/blobs/layer" root; rm "$made/blobs/root"
tar -c --sort=name --mtime=@0 --owner=0 --group=0 -C "$made" -f "$made/sipmesh-{VERSION}.oci.tar" blobs; rm -r "$made/blobs"
for python; do echo "$python" >"$made/sipmesh-$python.whl"; done
(cd "$made" && sha256sum sipmesh* >SHA256SUMS)
"""


@pytest.fixture(name="built")
def _built(clone: Path) -> Path:
    """Give a repository with a tag whose build takes no time, and the release beside it."""
    for tool in ("reproduce", "contents.py"):
        shutil.copy(ROOT / "tools/release" / tool, clone / "tools/release")
    (clone / "tools/release/build").write_text(BUILD)
    run(clone, "git", "add", "-A")
    run(clone, "git", "commit", "-q", "-m", "build")
    tag(clone)
    run(clone, "tools/release/build", made(clone), "cp312", "cp313")
    return clone


def reproduced(clone: Path, *pythons: str) -> tuple[int, list[str]]:
    """Build again; gives the exit code, and what is said of each file."""
    done = run(clone, "tools/release/reproduce", made(clone), *pythons)
    return done.returncode, [line for line in done.stdout.splitlines() if "  " not in line]


def test_file_in_an_image_that_differs_is_named(built: Path, tmp_path: Path) -> None:
    """It lies in a layer, which is compressed: a comparison of octets says no more than that something differs."""
    blobs, image = tmp_path / "other/blobs", made(built) / f"sipmesh-{VERSION}.oci.tar"
    blobs.mkdir(parents=True)
    (blobs / "root").write_text("other files\n")
    run(blobs, "tar", "-cz", "-f", "layer", "root")
    (blobs / "root").unlink()
    run(blobs.parent, "tar", "-c", "-f", image, "blobs")
    code, said = reproduced(built, "cp312", "python3")
    assert code == 1
    assert len([line for line in said if line.endswith(" root")]) == 2
    assert len([line for line in said if line.endswith(" blobs/layer")]) == 2


def test_release_that_is_built_again_is_compared(built: Path) -> None:
    assert reproduced(built, "cp312", "cp313") == (0, ["equal octet by octet"])


def test_wheel_of_a_python_that_is_not_here_is_named_and_the_rest_is_compared(built: Path) -> None:
    told = ["not built again: sipmesh-cp312.whl", "equal octet by octet"]
    assert reproduced(built, "cp313") == (0, told)


def test_file_that_differs_is_named(built: Path) -> None:
    (made(built) / "sipmesh-cp313.whl").write_text("other octets")
    code, said = reproduced(built, "cp312", "cp313")
    assert code == 1
    assert "sipmesh-cp313.whl" in "".join(said)
    assert "equal octet by octet" not in said
    again = made(built).with_name(f"{made(built).name}-again")
    assert (again / "sipmesh-cp313.whl").read_text() == "cp313\n"
