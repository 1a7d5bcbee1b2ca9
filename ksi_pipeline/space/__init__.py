"""The physical space: units, zones, counting lines, cameras, links, and since when each holds."""
