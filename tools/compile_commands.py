"""Writes compile_commands.json for clangd and clang-tidy. Build once before with the same flags: module maps must exist.

    python3 tools/compile_commands.py && clang-tidy -p . zdd/base/*.cc
"""

import json
import subprocess

QUERY = 'mnemonic("CppCompile", //...)'


def bazel(*arguments):
    return subprocess.run(["bazel", *arguments], check=True, stdout=subprocess.PIPE, text=True).stdout


def entries(actions, directory):
    for action in actions:
        arguments = [argument for argument in action["arguments"] if not argument.startswith("-D__")]  # Bazel's __DATE__
        yield {"directory": directory, "file": arguments[arguments.index("-c") + 1], "arguments": arguments}


def main():
    actions = json.loads(bazel("aquery", "--config=clang", "--output=jsonproto", "--include_commandline", QUERY))["actions"]
    commands = list(entries(actions, bazel("info", "execution_root").strip()))
    with open("compile_commands.json", "w", encoding="utf-8") as file:
        json.dump(commands, file, indent=1)
    print(f"compile_commands.json: {len(commands)} files")


main()
