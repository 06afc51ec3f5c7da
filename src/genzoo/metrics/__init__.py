"""Images to features, features to statistics, statistics to numbers; each step stands alone."""
