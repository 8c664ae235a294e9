"""The workflows of .github: files that GitHub can read, and the commands of `publish` in a repository on disk."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from course_utils.authoring import publishing

ROOT = Path(__file__).resolve().parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.y*ml"))
PUBLISH = ROOT / ".github" / "workflows" / "publish.yml"
# https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-syntax
KEYS = {
    "workflow": "name run-name on permissions env defaults concurrency jobs",
    "job": "name permissions needs if runs-on environment concurrency outputs env defaults steps timeout-minutes "
    "strategy continue-on-error",
    "step": "id if name uses run working-directory shell with env continue-on-error timeout-minutes",
}


def read(path):
    # YAML 1.1 takes the key "on" for true.
    return {"on" if key is True else key: value for key, value in yaml.safe_load(path.read_text()).items()}


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_github_can_read_it(path):
    workflow = read(path)
    assert set(workflow) <= set(KEYS["workflow"].split()) and {"name", "on", "permissions", "jobs"} <= set(
        workflow
    )
    for job in workflow["jobs"].values():
        assert set(job) <= set(KEYS["job"].split()) and {"runs-on", "timeout-minutes", "steps"} <= set(job)
        for step in job["steps"]:
            assert set(step) <= set(KEYS["step"].split())
            assert ("uses" in step) != ("run" in step)
            assert re.fullmatch(r"[\w-]+/[\w./-]+@v\d+", step.get("uses", "a/b@v1"))
            # What others name, a branch or a title, reaches the shell as a variable alone.
            assert "${{" not in step.get("run", "")
            subprocess.run(["bash", "-n", "-c", step.get("run", "")], check=True)
    for command in re.findall(r"(?m)^\s*(?:run: )?(\.?\w*/[\w/]+)$", path.read_text()):
        assert os.access(ROOT / command, os.X_OK), command


@pytest.fixture(scope="module")
def copies(tmp_path_factory):
    """A repository on disk with the course as nobody published it, and a clone of it to work in."""
    folder = tmp_path_factory.mktemp("copies")
    work = folder / "work"
    shutil.copytree(
        ROOT / "course_utils", work / "course_utils", ignore=shutil.ignore_patterns("__pycache__")
    )
    (work / "notebooks").mkdir()
    shutil.copy(ROOT / "notebooks" / "00_start_here.ipynb", work / "notebooks")
    shutil.copy(ROOT / "pyproject.toml", work)
    publishing.publish(work, publishing.UNPUBLISHED, "main")
    git(work, "init", "-q", "-b", "main")
    git(work, "config", "user.name", "Ada")
    git(work, "config", "user.email", "ada@localhost")
    (work / ".gitignore").write_text("__pycache__/\n")
    git(work, "add", "-A")
    git(work, "commit", "-qm", "The course")
    git(folder, "clone", "-q", "--bare", "work", "origin.git")
    git(work, "remote", "add", "origin", str(folder / "origin.git"))
    return work


def git(folder, *arguments):
    done = subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout


def run_workflow(folder, repository, kind, name):
    """Run the commands of publish.yml, except for what is installed here already; returns the last process."""
    (job,) = read(PUBLISH)["jobs"].values()
    for step in job["steps"]:
        condition = step.get("if", f"github.ref_type == '{kind}'")
        if "run" not in step or step["run"].startswith("pip ") or condition != f"github.ref_type == '{kind}'":
            continue
        environment = {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PYTHONPATH": str(folder),
            "GITHUB_REPOSITORY": repository,
            "GITHUB_REF_NAME": name,
        }
        # As GitHub starts a step's shell.
        done = subprocess.run(
            ["bash", "-e", "-c", step["run"]], cwd=folder, capture_output=True, text=True, check=False, env=environment
        )  # fmt: skip
        if done.returncode:
            break
    return done


def test_what_is_pushed_names_its_own_repository_and_branch_and_a_second_run_commits_nothing(copies):
    tips = []
    git(copies, "checkout", "-q", "-b", "release/2026")
    for _ in range(2):
        done = run_workflow(copies, "grace/fork", "branch", "release/2026")
        assert done.returncode == 0, done.stderr
        assert (publishing.repository(copies), publishing.version(copies)) == ("grace/fork", "release/2026")
        assert git(copies, "status", "--porcelain") == ""
        tips.append(git(copies, "ls-remote", "origin", "refs/heads/release/2026").split()[0])
        assert (
            tips[-1] == git(copies, "rev-parse", "HEAD").strip() != git(copies, "rev-parse", "main").strip()
        )
    assert tips[0] == tips[1]


def test_a_tag_that_fetches_something_else_is_refused(copies):
    publishing.publish(copies, "ada/course", "main")
    before = git(copies, "rev-parse", "HEAD")
    done = run_workflow(copies, "ada/course", "tag", "v1.0")
    assert done.returncode == 1
    assert done.stderr.startswith("The notebooks fetch the version main, but this is v1.0.\n")
    assert git(copies, "rev-parse", "HEAD") == before


def test_the_command_needs_no_more_than_the_workflow_installs():
    """And what these packages need themselves: above all, no torch, which is 3 GB."""
    code = "import sys, course_utils.__main__, course_utils.authoring; print(*{n.split('.')[0] for n in sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    loaded = set(done.stdout.split())
    assert {"nbconvert", "numpy", "PIL"} <= loaded
    assert not loaded & {
        "torch",
        "torchvision",
        "timm",
        "matplotlib",
        "skimage",
        "scipy",
        "sklearn",
        "sphinx",
        "yaml",
    }
