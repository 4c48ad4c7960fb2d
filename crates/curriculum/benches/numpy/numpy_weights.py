"""Times numpy on the weights of N samples: numpy_weights.py N

Prints the least of twenty runs in seconds, separated by tabs: the exponentials alone (f32), and
the whole softmax (f64 inside, f32 out).
"""

import sys
import time

import numpy as np


def least(work):
    best = float("inf")
    for _ in range(20):
        start = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - start)
    return best


def softmax(difficulty, temperature):
    masses = np.exp(difficulty.astype(np.float64) / -temperature)
    return (masses / masses.sum()).astype(np.float32)


def main():
    difficulty = np.random.default_rng(1).random(int(sys.argv[1]), dtype=np.float32) ** 2
    out = np.empty_like(difficulty)
    exponent = difficulty * np.float32(-10)
    print(least(lambda: np.exp(exponent, out=out)), least(lambda: softmax(difficulty, 0.1)), sep="\t")


if __name__ == "__main__":
    main()
