"""Statistics that every room uses: seeded generators, intervals, clusters, bootstrap. Numbers in, numbers out."""
