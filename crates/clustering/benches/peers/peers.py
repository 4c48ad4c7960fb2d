"""Fits and assigns a matrix with scikit-learn and faiss: peers.py FILE.npy K [K ...]

Prints one JSON object a line: peer, clusters, seconds (fit and assignment), objective (mean squared
distance, in double precision from the assignments).
"""

import json
import sys
import time

import faiss
import numpy as np
from sklearn.cluster import KMeans, MiniBatchKMeans

FULL_LIMIT = 10_000


def objective(rows, centroids, assignments):
    total = 0.0
    for start in range(0, len(rows), 65_536):
        part = slice(start, start + 65_536)
        difference = rows[part].astype(np.float64) - centroids[assignments[part]]
        total += float((difference**2).sum())
    return total / len(rows)


def fit_faiss(rows, clusters):
    model = faiss.Kmeans(rows.shape[1], clusters, niter=25, seed=1)
    model.train(rows)
    _, assignments = model.index.search(rows, 1)
    return model.centroids, assignments[:, 0]


def fit_scikit_learn(rows, clusters):
    peer = KMeans if len(rows) <= FULL_LIMIT else MiniBatchKMeans
    model = peer(n_clusters=clusters, random_state=1, n_init="auto").fit(rows)
    return model.cluster_centers_, model.predict(rows)


def main():
    rows = np.load(sys.argv[1])
    for clusters in map(int, sys.argv[2:]):
        for name, fit in (("faiss", fit_faiss), ("scikit-learn", fit_scikit_learn)):
            start = time.perf_counter()
            centroids, assignments = fit(rows, clusters)
            seconds = time.perf_counter() - start
            found = objective(rows, centroids.astype(np.float64), assignments)
            print(json.dumps({"peer": name, "clusters": clusters, "seconds": seconds, "objective": found}), flush=True)


if __name__ == "__main__":
    main()
