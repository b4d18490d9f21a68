"""Fuzz targets: a corpus that every test run replays, and a libFuzzer binary for long runs."""

def fuzz_test(name, srcs, corpus, deps = [], **kwargs):
    """One fuzz target, in three shapes.

    `name` is a cc_test that feeds each file of the corpus to the target, under any compiler and any
    sanitizer. `name`_libfuzzer searches for new inputs; it is built by hand only:

        bazel build --config=fuzz //tests/fuzz:address_fuzz_libfuzzer
        bazel-bin/tests/fuzz/address_fuzz_libfuzzer -max_total_time=300 /tmp/new tests/fuzz/corpus/address

    What it finds goes into the corpus with a name that says what it is.

    Args:
      name: ends in _fuzz.
      srcs: define LLVMFuzzerTestOneInput; a broken property aborts.
      corpus: labels or files, at least one.
      deps: of srcs.
      **kwargs: for the cc_test.
    """
    native.cc_library(
        name = name + "_target",
        testonly = True,
        srcs = srcs,
        deps = deps + ["//tests/fuzz:property"],
        alwayslink = True,
    )
    native.filegroup(
        name = name + "_corpus",
        srcs = corpus,
    )
    native.cc_test(
        name = name,
        size = "small",
        args = ["$(locations :%s_corpus)" % name],
        data = [":%s_corpus" % name],
        tags = ["asan"],
        deps = [
            ":%s_target" % name,
            "//tests/fuzz:replay",
        ],
        **kwargs
    )
    native.cc_binary(
        name = name + "_libfuzzer",
        testonly = True,
        linkopts = ["-fsanitize=fuzzer"],
        tags = ["manual"],
        deps = [":%s_target" % name],
    )
