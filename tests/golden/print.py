"""Writes print.txt: how NumPy prints arrays. Run it in this folder: python3 print.py. Read by
tests/test_print.cpp.

A case is a line "> KIND PRECISION SHAPE : ELEMENTS", KIND real or whole, then the printed lines."""

import numpy

nan, inf = numpy.nan, numpy.inf
random = numpy.random.RandomState(1)
normal = lambda *shape: numpy.round(random.randn(*shape) * 4096) / 4096  # exact in a few digits

reals = [
    ([[1, 2], [3, 4.5]], 4),
    ([0, -0.0, 1], 4),
    ([0.1, 0.25, -0.125], 4),
    ([0.00012, 0.05], 4),             # the smallest that is not yet scientific
    ([0.0000999, 0.05], 4),           # scientific: below 1e-4
    ([1, 1000], 4),                   # not scientific: a range of 1000
    ([99, 99000], 4),                 # so is this
    ([0.7, 700], 4),                  # and this, in float
    ([1, 1001], 4),                   # scientific: a range above 1000
    ([99999992, 1e7], 4),
    ([1e8, 1e8], 4),
    ([0.99996, 0.5], 4),              # rounds up to 1
    ([2.5, 3.5, 0.125], 0),           # ties go to the even digit
    ([0.1234567, 12.5], 6),
    ([0.1234567, 12.5], 2),
    ([0.1, 0.59229583, 1.17549435e-38], 8),  # as many digits of each number, not zeros
    ([1e-45, 3e38, 0, -1], 4),
    ([nan, 1.5], 4),
    ([inf, -inf, nan], 4),
    ([-inf, 1e9, 0.25], 4),
    ([inf, 12345.678], 3),
    ([], 4),
    ([[], []], 4),
    (normal(3), 4),
    (normal(2, 3), 4),
    (normal(2, 2, 3), 4),
    (normal(1, 2, 1, 2), 4),
    (normal(2, 12), 4),               # rows longer than a line
    (normal(1, 1, 1, 20), 3),
    (numpy.arange(40) * 0.5, 4),      # a line that ends in blanks before it is cut
    (numpy.arange(1000), 4),          # the last that is shown whole
    (numpy.arange(1001), 4),          # the first that is shown by its edges
    (numpy.arange(2 * 7 * 100).reshape(2, 7, 100) / 8, 4),
    (numpy.arange(6 * 200).reshape(6, 200), 4),  # six rows are not cut, seven are
    (numpy.arange(3 * 400).reshape(3, 400), 4),
]
wholes = [
    [1, 2, 3],
    [[-1, 20], [300, 4]],
    [],
    [2147483647, -2147483648],
    numpy.arange(60),
    numpy.arange(1001),
    numpy.arange(40 * 30).reshape(40, 30) - 600,
]

with open("print.txt", "w") as file:
    file.write(f"# Made by print.py with NumPy {numpy.__version__}. Do not edit.\n")

    def case(kind, precision, array, elements):
        shape = " ".join(str(size) for size in array.shape)
        file.write(f"> {kind} {precision} {shape} : {' '.join(elements)}\n")
        file.write(numpy.array2string(array, precision=precision) + "\n")

    for values, precision in reals:
        array = numpy.array(values, numpy.float32)
        case("real", precision, array, [f"{x:.9g}" for x in array.ravel().tolist()])
    for values in wholes:
        array = numpy.array(values, numpy.int32)
        case("whole", 4, array, [str(x) for x in array.ravel().tolist()])
