"""Measures what users of a generated service feel, side by side with what they would pick instead.

    make bench                                     everything, some hours on two cores
    make bench ONLY=images,template LANGUAGES=go   a part; the other figures stay

docs/benchmarking.md says what is measured and how to read it. The figures are in
docs/benchmark.json; docs/benchmark.md, the plots, the table of docs/choosing-a-base.md and
the bars of README.md are written from it.
"""
