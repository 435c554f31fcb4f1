"""What luagauge costs, measured against plain lupa and against its peers; README.md says how to read and rerun it."""
