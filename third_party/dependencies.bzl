"""What another workspace needs beside @zdd, in its WORKSPACE:

    load("@zdd//third_party:dependencies.bzl", "zdd_dependencies")

    zdd_dependencies()
"""

def _stand_in_impl(context):
    folder = context.path(Label("@zdd//third_party:BUILD.bazel")).dirname.get_child(context.attr.folder)
    for entry in folder.readdir():
        context.symlink(entry, entry.basename)

# A folder of third_party as a repository, wherever @zdd itself comes from.
_stand_in = repository_rule(
    implementation = _stand_in_impl,
    attrs = {"folder": attr.string(mandatory = True)},
    local = True,
)

def zdd_dependencies():
    """The distribution's Abseil, libuv and nlohmann_json, but for those that are defined already."""
    for name, folder in {
        "com_github_libuv_libuv": "libuv",
        "com_google_absl": "absl",
        "nlohmann_json": "nlohmann_json",
    }.items():
        if not native.existing_rule(name):
            _stand_in(name = name, folder = folder)
