"""Fits and assigns a matrix with scikit-learn and faiss: peers.py FILE.npy K|auto [K|auto ...]

Prints a line per peer: name, clusters, seconds of fit and assignment, mean squared distance (in
double precision), separated by tabs. `auto` fits every k from 2 to 20 and scores it with the
Davies-Bouldin index, one after the other, as the method's public code does.
"""

import sys
import time

import faiss
import numpy as np
from sklearn.cluster import KMeans, MiniBatchKMeans
from sklearn.metrics import davies_bouldin_score

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


def search_scikit_learn(rows, _):
    def fit(clusters):
        centroids, assignments = fit_scikit_learn(rows, clusters)
        return davies_bouldin_score(rows, assignments), clusters, centroids, assignments

    _, _, centroids, assignments = min((fit(clusters) for clusters in range(2, 21)), key=lambda found: found[:2])
    return centroids, assignments


def main():
    rows = np.load(sys.argv[1])
    for clusters in sys.argv[2:]:
        peers = {"faiss": fit_faiss, "scikit-learn": fit_scikit_learn}
        if clusters == "auto":
            peers = {"scikit-learn, k by k": search_scikit_learn}
        for name, fit in peers.items():
            start = time.perf_counter()
            centroids, assignments = fit(rows, int(clusters) if clusters != "auto" else None)
            seconds = time.perf_counter() - start
            found = objective(rows, centroids.astype(np.float64), assignments)
            print(name, clusters, seconds, found, sep="\t", flush=True)


if __name__ == "__main__":
    main()
