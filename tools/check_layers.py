"""Checks what the compiler cannot: that each include under zdd/ has its dependency, and that rooms stand on lower floors.

clang's layering_check does not look into headers, nor at anything in /usr/include. Reads `bazel query --output=xml`, from
stdin, of the targets under zdd/; run it at the top of the workspace.
"""

import collections
import re
import sys
import xml.etree.ElementTree as xml

FLOORS = {
    "base": 0,
    "net": 1, "split": 1,
    "handoff": 2, "drain": 2, "registry": 2,
    "migration": 3, "rollout": 3,
    "service": 4,
    "admin": 5, "systemd": 5, "adapters": 5,
    "ctl": 6, "supervisor": 6,
}

# Includes of other libraries, and the dependency (any target of that package) that stands for them.
LIBRARIES = [
    (r"(absl/\w+)/", r"@com_google_absl//\1"),
    (r"uv\.h", "@com_github_libuv_libuv//"),
    (r"nlohmann/", "@nlohmann_json//"),
    (r"httplib\.h", "@com_github_yhirose_cpp_httplib//"),
    (r"boost/", "@boost//"),
    (r"event2/", "@libevent//"),
]

Target = collections.namedtuple("Target", "name files deps")


def labels(rule, kind):
    return [label.get("value") for label in rule.findall(f"list[@name='{kind}']/label")]


def parse(text):
    for rule in xml.fromstring(text).iter("rule"):
        files = labels(rule, "srcs") + labels(rule, "hdrs") + labels(rule, "textual_hdrs")
        yield Target(rule.get("name"), [file for file in files if file.startswith("//zdd")], labels(rule, "deps"))


def path(label):
    return label.removeprefix("//").replace(":", "/").removeprefix("/")


def includes(file):
    with open(path(file), encoding="utf-8") as lines:
        return re.findall(r'^\s*#\s*include\s+["<]([^">]+)[">]', lines.read(), re.MULTILINE)


def package_of(include):
    for pattern, package in LIBRARIES:
        match = re.match(pattern, include)
        if match:
            return match.expand(package)
    return None


def is_met(include, target, owners):
    if include.startswith("zdd/"):
        return any(owner == target.name or owner in target.deps for owner in owners[include])
    package = package_of(include)
    return package is None or any(dep.split(":")[0].rstrip("/") == package.rstrip("/") for dep in target.deps)


def room(label):
    parts = path(label).split("/")
    return parts[1] if len(parts) > 2 else None


def is_below(target, dep):
    mine, other = room(target.name), room(dep)
    if not dep.startswith("//zdd") or mine is None or mine == other:
        return True
    return other in FLOORS and mine in FLOORS and FLOORS[other] < FLOORS[mine]


def faults(targets):
    owners = collections.defaultdict(set)
    for target in targets:
        for file in target.files:
            owners[path(file)].add(target.name)
    for target in targets:
        for file in target.files:
            for include in includes(file):
                if not is_met(include, target, owners):
                    yield f"{path(file)}: includes {include}, but {target.name} has no dependency for it"
        for dep in target.deps:
            if not is_below(target, dep):
                yield f"{target.name}: depends on {dep}, which is on no lower floor"


found = list(faults(list(parse(sys.stdin.read()))))
print(*found, sep="\n", end="\n" if found else "")
sys.exit(1 if found else 0)
