"""Reading status from the cluster's objects and the agents' own words; pure."""
