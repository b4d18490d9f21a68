"""What `./run install` lays down, made from the build graph: no list of headers, archives or libraries is kept by hand."""

# Where a label of Abseil's Bazel build and a name of its CMake build differ.
_ABSL_NAMES = {
    "flag": "flags",
    "parse": "flags_parse",
    "random": "random_random",
    "usage": "flags_usage",
}

def _linker_inputs(ctx):
    return ctx.attr.library[CcInfo].linking_context.linker_inputs.to_list()

def _archives(ctx):
    return [
        lib.pic_static_library or lib.static_library
        for inp in _linker_inputs(ctx)
        if not inp.owner.workspace_name
        for lib in inp.libraries
    ]

def _headers(ctx):
    context = ctx.attr.library[CcInfo].compilation_context
    return [h for h in context.headers.to_list() if h.is_source and h.short_path.startswith("zdd/")]

def _absl_libraries(ctx):
    names = [
        _ABSL_NAMES.get(inp.owner.name, inp.owner.name)
        for inp in _linker_inputs(ctx)
        if inp.owner.workspace_name == "com_google_absl" and inp.user_link_flags
    ]
    return sorted({name: None for name in names})

def _other_flags(ctx):
    return [
        flag
        for inp in _linker_inputs(ctx)
        if inp.owner.workspace_name not in ["com_google_absl", "com_github_libuv_libuv"]
        for flag in inp.user_link_flags
        if flag not in ["-lpthread", "-pthread"]  # the templates name threads in their own way
    ]

def _merge_archives(ctx, out):
    """One archive with the members of all: `ar -M` reads what to do from a file."""
    archives = _archives(ctx)
    script = ctx.actions.declare_file(ctx.label.name + ".mri")
    ctx.actions.write(script, "\n".join(
        ["CREATE " + out.path] + ["ADDLIB " + a.path for a in archives] + ["SAVE", "END", ""],
    ))
    ctx.actions.run_shell(
        command = "ar -M < '%s' && ranlib -D '%s'" % (script.path, out.path),
        inputs = archives + [script],
        outputs = [out],
        mnemonic = "MergeArchives",
    )

def _expand(ctx, template):
    out = ctx.actions.declare_file(ctx.label.name + "_files/" + template.basename.replace(".in", ""))
    absl = _absl_libraries(ctx)
    flags = _other_flags(ctx)
    ctx.actions.expand_template(
        template = template,
        output = out,
        substitutions = {
            "@CMAKE_LIBRARIES@": "\n    ".join(["absl::" + name for name in absl] + flags),
            "@PKG_CONFIG_LIBRARIES@": " ".join(flags),
            "@PKG_CONFIG_REQUIRES@": " ".join(["absl_" + name for name in absl]),
            "@VERSION@": ctx.attr.version,
        },
    )
    return out

def _install_tree_impl(ctx):
    archive = ctx.actions.declare_file(ctx.label.name + "_files/libzdd.a")
    _merge_archives(ctx, archive)
    files = {"lib/libzdd.a": archive}
    for template in ctx.files.cmake:
        files["lib/cmake/zdd/" + template.basename.replace(".in", "")] = _expand(ctx, template)
    files["lib/pkgconfig/zdd.pc"] = _expand(ctx, ctx.file.pkg_config)
    files.update({"include/" + header.short_path: header for header in _headers(ctx)})
    files.update({"bin/" + binary.basename: binary for binary in ctx.files.binaries})

    tree = ctx.actions.declare_directory(ctx.label.name)
    ctx.actions.run_shell(
        command = "\n".join(["set -e"] + [
            "install -D -m %s '%s' '%s/%s'" % ("755" if to.startswith("bin/") else "644", f.path, tree.path, to)
            for to, f in files.items()
        ]),
        inputs = files.values(),
        outputs = [tree],
        mnemonic = "InstallTree",
    )
    return [DefaultInfo(files = depset([tree]), runfiles = ctx.runfiles([tree]))]

install_tree = rule(
    implementation = _install_tree_impl,
    attrs = {
        "binaries": attr.label_list(doc = "Programs for bin/."),
        "cmake": attr.label_list(allow_files = [".in"]),
        "library": attr.label(providers = [CcInfo], doc = "Its headers under zdd/ and its code are installed, with all below it."),
        "pkg_config": attr.label(allow_single_file = [".in"]),
        "version": attr.string(mandatory = True),
    },
)
