"""Libraries of the distribution under the labels that their own Bazel builds give them.

Each folder here stands in for one repository, so that a change to sources, or to a registry, is a change of WORKSPACE alone.
"""

def system_library(name, libs = [], deps = [], defines = [], archives_in_opt = False):
    """A library whose headers are in /usr/include: it only has to be linked.

    Args:
      name: as upstream calls the target.
      libs: what stands behind -l. All of them: nothing is added by itself.
      deps: other libraries whose libs are needed too.
      defines: what the distribution built the library with, or what its headers need with our compiler.
      archives_in_opt: with `-c opt` link the archives, not the shared libraries.
    """
    shared = ["-l" + lib for lib in libs]
    archives = ["-l:lib" + lib + ".a" for lib in libs]
    native.cc_library(
        name = name,
        defines = defines,
        linkopts = select({
            "@zdd//third_party:opt": archives,
            "//conditions:default": shared,
        }) if archives_in_opt else shared,
        visibility = ["//visibility:public"],
        deps = deps,
    )
