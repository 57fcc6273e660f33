"""Plugins made the way that users make them: from the installed package, outside of the source tree."""

import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parent.parent
PROJECT = """\
cmake_minimum_required(VERSION 3.16)
project(plugins LANGUAGES CXX)
find_package(MillracePlugin 1.0 REQUIRED)
"""


def run(*arguments):
    done = subprocess.run([str(a) for a in arguments], capture_output=True, text=True)
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(map(str, arguments))}: {done.stdout}{done.stderr}")


def install_package(folder):
    """Returns the prefix under which find_package finds it."""
    prefix = pathlib.Path(folder) / "installed"
    run("cmake", "-S", ROOT / "sdk/cpp", "-B", pathlib.Path(folder) / "sdk", f"-DCMAKE_INSTALL_PREFIX={prefix}")
    run("cmake", "--install", pathlib.Path(folder) / "sdk")
    return prefix


def build(project, folder):
    """Returns the folder with the plugins of a project of CMake."""
    folder = pathlib.Path(folder)
    prefix = install_package(folder)
    run("cmake", "-S", project, "-B", folder / "plugins", f"-DCMAKE_PREFIX_PATH={prefix}")
    run("cmake", "--build", folder / "plugins")
    return folder / "plugins"


def build_sources(sources, folder):
    """The same of one plugin for each name in `sources`, which gives its text."""
    project = pathlib.Path(folder) / "project"
    project.mkdir()
    text = PROJECT
    for name, source in sources.items():
        (project / f"{name}.cc").write_text(source)
        text += f"millrace_add_plugin({name} {name}.cc)\n"
    (project / "CMakeLists.txt").write_text(text)
    return build(project, folder)
