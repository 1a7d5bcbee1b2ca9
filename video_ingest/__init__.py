"""Camera chunk to anonymous tracklets; stands alone and can run on a host beside the camera."""
